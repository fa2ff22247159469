#include "query/commands.h"

#include <algorithm>
#include <array>
#include <span>

namespace kalamdb::query {

namespace {

struct Syntax {
  std::array<std::string_view, 3> words;  // what the statement starts with; empty ones at the end
  bool keep_words = false;                // leave the words to the parser, all but the first
  ParsedCommand (*parse)(TokenReader& reader) = nullptr;
};

// Longer beginnings before shorter ones.
const std::array kSyntax{
    Syntax{{{"create", "namespace"}}, false, parse_create_namespace},
    Syntax{{{"create", "user", "table"}}, true, parse_create_table_command},
    Syntax{{{"create", "shared", "table"}}, true, parse_create_table_command},
    Syntax{{{"create", "stream", "table"}}, true, parse_create_table_command},
    Syntax{{{"create", "table"}}, true, parse_create_table_command},
    Syntax{{{"create", "user"}}, false, parse_create_user},
    Syntax{{{"drop", "namespace"}}, false, parse_drop_namespace},
    Syntax{{{"drop", "user", "table"}}, false, parse_drop_table},
    Syntax{{{"drop", "shared", "table"}}, false, parse_drop_table},
    Syntax{{{"drop", "stream", "table"}}, false, parse_drop_table},
    Syntax{{{"drop", "table"}}, false, parse_drop_table},
    Syntax{{{"drop", "user"}}, false, parse_drop_user},
    Syntax{{{"alter", "user"}}, false, parse_alter_user},
    Syntax{{{"use", "namespace"}}, false, parse_use_namespace},
    Syntax{{{"use"}}, false, parse_use_namespace},
    Syntax{{{"set", "namespace"}}, false, parse_use_namespace},
    Syntax{{{"set"}}, false, parse_set},
    Syntax{{{"show", "namespaces"}}, false, parse_show_namespaces},
    Syntax{{{"show", "tables"}}, false, parse_show_tables},
    Syntax{{{"show", "views"}}, false, parse_show_views},
    Syntax{{{"show", "columns"}}, false, parse_show_columns},
    Syntax{{{"describe", "table"}}, false, parse_describe_table},
    Syntax{{{"desc", "table"}}, false, parse_describe_table},
    Syntax{{{"describe"}}, false, parse_describe_table},
    Syntax{{{"desc"}}, false, parse_describe_table},
    Syntax{{{"storage", "flush", "table"}}, false, parse_flush_table},
    Syntax{{{"flush", "table"}}, false, parse_flush_table},
    Syntax{{{"storage", "flush", "all"}}, false, parse_storage_flush_all},
    Syntax{{{"flush", "all", "tables"}}, false, parse_flush_all_tables},
    Syntax{{{"subscribe", "to"}}, false, parse_subscribe},
    Syntax{{{"live", "select"}}, true, parse_subscribe},
    Syntax{{{"alter", "table"}}, false, parse_alter_table},
    Syntax{{{"create", "view"}}, true, parse_create_view},
    Syntax{{{"create", "or", "replace"}}, true, parse_create_view},
    Syntax{{{"drop", "view"}}, false, parse_drop_view},
    Syntax{{{"alter", "namespace"}}, false, parse_alter_namespace},
    Syntax{{{"rename", "table"}}, false, parse_rename_table},
    Syntax{{{"create", "or", "replace"}}, true, parse_not_implemented},
    Syntax{{{"comment", "on"}}, false, parse_comment_on},
    Syntax{{{"truncate"}}, false, parse_truncate},
    Syntax{{{"create", "index"}}, true, parse_not_implemented},
    Syntax{{{"create", "unique", "index"}}, true, parse_not_implemented},
    Syntax{{{"create", "vector", "index"}}, true, parse_not_implemented},
    Syntax{{{"drop", "index"}}, true, parse_not_implemented},
    Syntax{{{"drop", "vector", "index"}}, true, parse_not_implemented},
    Syntax{{{"create", "storage"}}, false, parse_create_storage},
    Syntax{{{"alter", "storage"}}, false, parse_alter_storage},
    Syntax{{{"drop", "storage"}}, false, parse_drop_storage},
    Syntax{{{"show", "storages"}}, false, parse_show_storages},
    Syntax{{{"show", "manifest"}}, false, parse_show_manifest},
    Syntax{{{"show", "stats"}}, false, parse_show_stats},
    Syntax{{{"show", "create", "table"}}, false, parse_show_create_table},
    Syntax{{{"storage", "compact", "table"}}, false, parse_storage_compact_table},
    Syntax{{{"storage", "compact", "all"}}, false, parse_storage_compact_all},
    Syntax{{{"storage", "check"}}, false, parse_storage_check},
    Syntax{{{"vacuum"}}, false, parse_vacuum},
    Syntax{{{"optimize", "table"}}, false, parse_optimize_table},
    Syntax{{{"analyze"}}, false, parse_analyze},
    Syntax{{{"backup", "database"}}, false, parse_backup_database},
    Syntax{{{"restore", "database"}}, false, parse_restore_database},
    Syntax{{{"show", "backup"}}, false, parse_show_backup},
    Syntax{{{"backup"}}, true, parse_not_implemented},
    Syntax{{{"restore"}}, true, parse_not_implemented},
    Syntax{{{"export", "user", "data"}}, false, parse_export_user_data},
    Syntax{{{"show", "export"}}, false, parse_show_export},
    Syntax{{{"register", "table"}}, false, parse_register_table},
    Syntax{{{"unregister", "table"}}, false, parse_unregister_table},
    Syntax{{{"kill", "job"}}, false, parse_kill_job},
    Syntax{{{"kill", "live", "query"}}, false, parse_kill_live_query},
    Syntax{{{"create", "topic"}}, true, parse_not_implemented},
    Syntax{{{"consume"}}, true, parse_not_implemented},
    Syntax{{{"begin"}}, false, parse_begin},
    Syntax{{{"start", "transaction"}}, false, parse_begin},
    Syntax{{{"commit"}}, false, parse_commit},
    Syntax{{{"rollback"}}, false, parse_rollback},
    Syntax{{{"savepoint"}}, false, parse_savepoint},
    Syntax{{{"release"}}, false, parse_savepoint},
};

}  // namespace

ParsedCommand parse_command(TokenReader& reader) {
  for (const Syntax& syntax : kSyntax) {
    const size_t count = std::ranges::find(syntax.words, "") - syntax.words.begin();
    if (!reader.peek(std::span(syntax.words).first(count))) continue;
    const size_t consumed = syntax.keep_words ? 1 : count;
    for (size_t i = 0; i < consumed; ++i) reader.skip();
    return syntax.parse(reader);
  }
  return nullptr;
}

}  // namespace kalamdb::query
