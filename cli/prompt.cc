#include "cli/prompt.h"
namespace kalamdb::cli {
int run_prompt(Shell&, int) { return 0; }
}  // namespace kalamdb::cli
