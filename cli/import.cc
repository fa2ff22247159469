#include "cli/import.h"
namespace kalamdb::cli {
int run_import(Session&, const ImportOptions&) { return 0; }
}  // namespace kalamdb::cli
