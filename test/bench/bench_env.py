"""What is measured on: a Kafka with topics, a PostgreSQL of our own.

Both live as long as this program. Kafka's data stay in build/bench/kafka, so
that a second run need not fill topics of 2M records again; PostgreSQL starts
anew each time, in a temporary folder that its user can reach.
"""
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import threading
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
BUILD = os.path.join(ROOT, 'build', 'bench')
BROKER = os.path.join(ROOT, 'test', 'broker', 'broker.sh')
FILL = os.path.join(ROOT, 'build', 'bin', 'fill')

SETTINGS = '''
listen_addresses = ''
shared_buffers = '1GB'
work_mem = '64MB'
fsync = off
autovacuum = off
max_parallel_workers_per_gather = 0
jit = off
shared_preload_libraries = 'streamsql'
streamsql.table_memory = '2GB'
streamsql.table_wait = '10min'
streamsql.snapshot_interval = 0
'''


def run(*command, **options):
    """Run to the end; its output, or an exception that tells its errors."""
    done = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **options)
    if done.returncode:
        raise SystemExit(f'bench: {command[0]} failed:\n'
                         f'{done.stderr.decode()}')
    return done.stdout.decode()


def cpu_of(pid):
    """CPU seconds of a process with all its threads."""
    with open(f'/proc/{pid}/stat') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


class Kafka:
    """A real Kafka on a free port, or the user's own."""

    def __init__(self, bootstrap=None):
        self.folder = None if bootstrap else os.path.join(BUILD, 'kafka')
        if not bootstrap:
            # those of an earlier run may be another's by now
            ports = os.path.join(self.folder, 'listeners')
            if os.path.exists(ports):
                os.remove(ports)
            run(BROKER, 'start', 'kafka', self.folder,
                env=dict(os.environ, BROKER_PARENT=str(os.getpid())))
            with open(os.path.join(self.folder, 'env')) as file:
                bootstrap = re.search(r'BOOTSTRAP=(\S+)', file.read())[1]
        self.bootstrap = bootstrap

    def fill(self, topic, lines, codec='none', parts=()):
        """Make a topic by the lines of the filler, and by those that parts
        gives one after the other, unless a run before did so with the same
        lines (parts are as the lines say)."""
        marks = os.path.join(BUILD, 'topics', self.folder and 'own' or
                             self.bootstrap.replace('/', '_'))
        mark = os.path.join(marks, topic)
        text = '\n'.join(lines) + '\n'
        if os.path.exists(mark) and open(mark).read() == codec + text:
            return
        self.drop(topic)
        self.produce(text, codec)
        for part in parts:
            self.produce(part, codec)
        os.makedirs(marks, exist_ok=True)
        with open(mark, 'w') as file:
            file.write(codec + text)

    def produce(self, text, codec='none'):
        """Run lines of the filler."""
        run(FILL, '-c', codec, input=text.encode(),
            env=dict(os.environ, STREAMSQL_BOOTSTRAP=self.bootstrap))

    def drop(self, topic):
        """Drop a topic, if it is there."""
        subprocess.run([FILL], input=f'drop\t{topic}\n'.encode(),
                       env=dict(os.environ,
                                STREAMSQL_BOOTSTRAP=self.bootstrap),
                       stderr=subprocess.DEVNULL, check=False)

    def stop(self):
        if self.folder:
            run(BROKER, 'stop', self.folder)


class Postgres:
    """A server with the extension, reached through a socket in its folder."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='sqbench.')
        os.chmod(self.folder, 0o755)
        self.bin = run(os.path.join(ROOT, 'test', 'private_tree.sh'),
                       os.path.join(self.folder, 'tree')).strip()
        self.prefix = []
        self.user = pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() == 0:
            self.user = os.environ.get('BENCH_USER', 'postgres')
            self.prefix = ['setpriv', '--reuid', self.user, '--regid',
                           self.user, '--init-groups']
        self.data = os.path.join(self.folder, 'data')
        os.mkdir(self.data)
        if self.prefix:
            shutil.chown(self.data, self.user)
        self._init()
        self.start('-w')

    def _program(self, name, *args):
        env = dict(os.environ, HOME=self.data, LC_ALL='C.UTF-8')
        return run(*self.prefix, os.path.join(self.bin, name), *args, env=env,
                   cwd=self.data)

    def _init(self):
        self._program('initdb', '-D', self.data, '-A', 'trust', '-N', '-E',
                      'UTF8', '-U', 'bench')
        with open(os.path.join(self.data, 'postgresql.conf'), 'a') as file:
            file.write(SETTINGS +
                       f"unix_socket_directories = '{self.data}'\n")

    def start(self, wait):
        # pg_ctl's children would hold our pipes, so they get a file
        self._program('pg_ctl', '-D', self.data, wait, '-l',
                      os.path.join(self.data, 'log'), 'start')

    def shut_down(self, mode='fast'):
        self._program('pg_ctl', '-D', self.data, '-m', mode, '-w', 'stop')

    def client(self, program, *args):
        """The command of a client program."""
        return [os.path.join(self.bin, program), '-h', self.data, '-U',
                'bench', *args]

    def session(self):
        return Session(self.client('psql', '-XqAt', 'postgres'))

    def answer(self, sql):
        """The answer to a psql of its own, None if that fails."""
        done = subprocess.run(self.client('psql', '-XqAt', '-c', sql,
                                          'postgres'),
                              stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
        return done.stdout.decode().strip() if done.returncode == 0 else None

    def pgbench(self, script, seconds):
        """Transactions a second of a script, prepared, by one client."""
        text = run(*self.client('pgbench', '-n', '-M', 'prepared', '-T',
                                str(seconds), '-f', '/dev/stdin', 'postgres'),
                   input=script.encode())
        return float(re.search(r'^tps = ([\d.]+)', text, re.M)[1])

    def stop(self):
        self.shut_down('immediate')
        shutil.rmtree(self.folder, ignore_errors=True)


class Session:
    """One psql, so one backend."""

    END = '-- end of answer --'

    def __init__(self, command):
        self.psql = subprocess.Popen(command, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT)
        self.ask('\\timing on')
        self.pid = int(self.ask('SELECT pg_backend_pid();')[0])

    def ask(self, sql):
        """The answer's text and the milliseconds it took."""
        self.send(sql)
        return self.receive(sql)

    def send(self, sql):
        """Ask, and go on."""
        self.psql.stdin.write(f'{sql}\n\\echo {self.END}\n'.encode())
        self.psql.stdin.flush()

    def receive(self, sql=''):
        """The answer to what was sent."""
        lines = []
        while True:
            line = self.psql.stdout.readline().decode()
            if not line or line.rstrip('\n') == self.END:
                break
            lines.append(line)
        text = ''.join(lines)
        if 'ERROR:' in text or not line:
            raise SystemExit(f'bench: {sql}\n{text}')
        time_ms = sum(float(ms) for ms in
                      re.findall(r'^Time: ([\d.]+) ms', text, re.M))
        return re.sub(r'^Time: .*\n', '', text, flags=re.M), time_ms

    def cpu(self):
        return cpu_of(self.pid)

    def memory(self):
        """Private memory of the backend in bytes."""
        with open(f'/proc/{self.pid}/status') as file:
            text = file.read()
        return 1024 * int(re.search(r'^RssAnon:\s*(\d+)', text, re.M)[1])

    def close(self):
        self.psql.stdin.close()
        self.psql.wait()


class Watcher(threading.Thread):
    """The most memory that a session had while this ran."""

    def __init__(self, session):
        super().__init__(daemon=True)
        self.session = session
        self.most = 0
        self.over = False
        self.start()

    def run(self):
        while not self.over:
            self.most = max(self.most, self.session.memory())
            time.sleep(0.005)

    def stop(self):
        self.over = True
        self.join()
        return self.most
