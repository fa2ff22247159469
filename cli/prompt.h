// The interactive prompt.
#pragma once

#include "cli/shell.h"

namespace kalamdb::cli {

// Reads and runs statements until \q or ctrl-d, with history (~/.kalam/history), multi-line input and completion of
// keywords, names and backslash commands. Returns the exit code.
int run_prompt(Shell& shell, int history_size);

}  // namespace kalamdb::cli
