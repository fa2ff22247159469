# make run and make test are all that a newcomer needs; each does the set-up it needs first.
PRESET ?= release
BUILD := build/$(PRESET)
TARGET ?= all
# One build at a time in a build folder: Ninja does not guard against a second one.
NINJA = mkdir -p $(BUILD) && flock $(BUILD)/.lock sh -c '[ -f $(BUILD)/build.ninja ] || cmake --preset $(PRESET) > $(BUILD)/configure.log 2>&1 || { cat $(BUILD)/configure.log; exit 1; }; ninja -C $(BUILD) $(1)'

.PHONY: setup build run test torture bench format check sanitize fuzz clean
setup:
	@scripts/setup

build: setup
	@$(call NINJA,$(TARGET))

run: build
	@$(BUILD)/bin/kalamdb

test: build
	@cd $(BUILD) && ctest --output-on-failure --timeout 900

# kill -9 under mixed load, KILLS times, DAMAGES damaged files, HISTORIES of live queries, and their predicates on the tables of
# WORLDS; SEED brings the run again that has failed with it.
KILLS ?= 500
DAMAGES ?= 1000
HISTORIES ?= 200
WORLDS ?= 100
SEED ?= random
torture: build
	@cd test && KALAM_TORTURE_KILLS=$(KILLS) KALAM_TORTURE_SEED=$(SEED) KALAM_DAMAGES=$(DAMAGES) KALAM_DAMAGE_SEED=$(SEED) \
	  KALAM_HISTORY_RUNS=$(HISTORIES) KALAM_HISTORY_SEED=$(SEED) KALAM_LIVE_WORLDS=$(WORLDS) KALAM_DIFFERENTIAL_SEED=$(SEED) \
	  KALAMDB_BIN=$(CURDIR)/$(BUILD)/bin/kalamdb \
	  /usr/bin/python3 -m pytest -q -s -p no:cacheprovider --tb=short e2e/test_crash.py e2e/test_damage.py e2e/test_live_history.py \
	  e2e/test_live_predicates.py -k "under_load or damage or histories or predicates_agree"

bench:
	@scripts/setup bench
	@$(MAKE) --no-print-directory build
	@bench/run

format: setup
	@tools/format

check:
	@scripts/setup check
	@$(MAKE) --no-print-directory build
	@tools/check

# Every test under ThreadSanitizer, then under AddressSanitizer and UndefinedBehaviorSanitizer.
sanitize:
	@for preset in tsan asan; do \
	  $(MAKE) --no-print-directory build PRESET=$$preset && tools/sanitize $$preset || exit 1; \
	done

# libFuzzer with clang, each target for SECONDS.
SECONDS ?= 60
fuzz:
	@scripts/setup check
	@$(MAKE) --no-print-directory build PRESET=fuzz TARGET="sql_fuzz json_fuzz ws_fuzz"
	@fuzz/sql_corpus build/fuzz/corpus/sql_fuzz
	@for target in sql_fuzz json_fuzz ws_fuzz; do \
	  mkdir -p build/fuzz/corpus/$$target; \
	  build/fuzz/fuzz/$$target -max_total_time=$(SECONDS) -print_final_stats=1 build/fuzz/corpus/$$target || exit 1; \
	done

clean:
	@rm -rf build
