# make lint: the rules of the house, in about a minute. Everything is looked
# at before it fails, so that one run tells all.
#
#	make lint		all of it
#	make lint-source	text checks only, a second
#	make lint-build		-Werror and the analyser, only what has changed
#	make lint-selftest	each check finds a planted fault

LINT      = test/lint
LINT_TREE = build/lint/tree

.PHONY: lint lint-source lint-build lint-selftest
lint: test-deps
	@status=0; \
	$(MAKE) --no-print-directory lint-selftest || status=1; \
	$(MAKE) --no-print-directory lint-build || status=1; \
	$(MAKE) --no-print-directory lint-source || status=1; \
	exit $$status

lint-source:
	@$(LINT)/lint.py

lint-selftest:
	@$(LINT)/selftest.py

lint-build:
	@$(LINT)/build.sh $(LINT_TREE) "$(PG_CONFIG)"
