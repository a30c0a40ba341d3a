-- What is in the demo's topics. The tables have the users and symbols that the
-- trades have, and the trades are the same every time.
INSERT INTO users
    SELECT 'user_' || lpad(i::text, 5, '0'),
           ('{Ada,Bo,Cleo,Dan,Eva,Finn,Gil,Hana,Ivo,Jude}'::text[])[i % 10 + 1] || ' ' ||
           ('{Abel,Berg,Cruz,Dahl,Ebert,Fox,Gray,Holm,Ito,Jones}'::text[])[i / 10 % 10 + 1],
           ('{basic,silver,basic,gold,basic}'::text[])[i % 5 + 1],
           ('{EMEA,AMER,APAC}'::text[])[i % 3 + 1], 1000.50 + i * 137 % 9000
      FROM generate_series(0, 499) i;
INSERT INTO instruments
    SELECT symbol, ('{tech,energy,health,finance}'::text[])[(i - 1) % 4 + 1], 10 ^ ((i - 1) % 3)
      FROM unnest('{ACME,BOLT,CRUX,DYNE,ECHO,FLUX,GRIT,HALO,IRIS,JOLT}'::text[])
           WITH ORDINALITY u (symbol, i);
INSERT INTO limits
    SELECT ('{basic,silver,gold}'::text[])[i % 3 + 1], ('{tech,energy,health,finance}'::text[])[i / 3 + 1],
           200000 + i % 3 * 75000 + i / 3 * 10000
      FROM generate_series(0, 11) i;
SELECT clock_timestamp() AS started \gset
INSERT INTO trades (trade_id, user_id, symbol, side, quantity, amount, city, made_at, ts, key)
    SELECT i, user_id, ('{ACME,BOLT,CRUX,DYNE,ECHO,FLUX,GRIT,HALO,IRIS,JOLT}'::text[])[draw / 3 % 10 + 1],
           CASE draw / 64 % 2 WHEN 1 THEN 'BUY' ELSE 'SELL' END, draw % 1000 + 1,
           (draw % 1000 + 1) * (1000 + draw / 1000 % 40000) / 100.0,
           ('{Zurich,London,Tokyo,Austin}'::text[])[draw / 11 % 4 + 1], made_at, made_at, user_id
      FROM generate_series(1, :count) i
           CROSS JOIN LATERAL (SELECT hashint8extended(i, 42) & 2147483647) d (draw)
           CROSS JOIN LATERAL (SELECT 'user_' || lpad((draw / 7 % 500)::text, 5, '0'),
               '2026-01-01 00:00:00+00'::timestamptz + i * interval '1 ms') m (user_id, made_at);
SELECT extract(epoch FROM clock_timestamp() - :'started') AS seconds \gset
SELECT format('The broker kept %s of %s records. The embedded one holds 5 MiB a '
              'partition; BROKER=kafka holds more.', sum(high - low), :count) AS lost,
       sum(high - low) < :count AS is_lost
  FROM streamsql.partitions('trades') \gset
\if :is_lost
    \warn :lost
    DO 'BEGIN RAISE EXCEPTION $$records were lost$$; END';
\endif
