// The one table of KalamDB's own statements. To add one: a file in commands/, a line here, a row in commands.cc, a
// test in test/sql, a line in the docs (docs/how-to-add-sql-statement.md).
#pragma once

#include <memory>

#include "query/command.h"

namespace kalamdb::query {

// The statement that starts here, or nullptr if it is none of KalamDB's own. Errors: kInvalidSql.
Result<std::unique_ptr<const Command>> parse_command(TokenReader& reader);

using ParsedCommand = Result<std::unique_ptr<const Command>>;

// Each reads its statement from behind the words that the table names, to the end.
ParsedCommand parse_create_namespace(TokenReader& reader);
ParsedCommand parse_drop_namespace(TokenReader& reader);
ParsedCommand parse_use_namespace(TokenReader& reader);
ParsedCommand parse_create_table_command(TokenReader& reader);
ParsedCommand parse_drop_table(TokenReader& reader);
ParsedCommand parse_create_view(TokenReader& reader);
ParsedCommand parse_drop_view(TokenReader& reader);
ParsedCommand parse_alter_table(TokenReader& reader);
ParsedCommand parse_rename_table(TokenReader& reader);
ParsedCommand parse_comment_on(TokenReader& reader);
ParsedCommand parse_truncate(TokenReader& reader);
ParsedCommand parse_alter_namespace(TokenReader& reader);
ParsedCommand parse_create_user(TokenReader& reader);
ParsedCommand parse_alter_user(TokenReader& reader);
ParsedCommand parse_drop_user(TokenReader& reader);
ParsedCommand parse_show_namespaces(TokenReader& reader);
ParsedCommand parse_show_tables(TokenReader& reader);
ParsedCommand parse_show_views(TokenReader& reader);
ParsedCommand parse_show_storages(TokenReader& reader);
ParsedCommand parse_create_storage(TokenReader& reader);
ParsedCommand parse_alter_storage(TokenReader& reader);
ParsedCommand parse_drop_storage(TokenReader& reader);
ParsedCommand parse_storage_check(TokenReader& reader);
ParsedCommand parse_show_manifest(TokenReader& reader);
ParsedCommand parse_show_stats(TokenReader& reader);
ParsedCommand parse_show_create_table(TokenReader& reader);
ParsedCommand parse_show_columns(TokenReader& reader);
ParsedCommand parse_describe_table(TokenReader& reader);
ParsedCommand parse_flush_table(TokenReader& reader);
ParsedCommand parse_storage_flush_all(TokenReader& reader);
ParsedCommand parse_flush_all_tables(TokenReader& reader);
ParsedCommand parse_storage_compact_table(TokenReader& reader);
ParsedCommand parse_storage_compact_all(TokenReader& reader);
ParsedCommand parse_optimize_table(TokenReader& reader);
ParsedCommand parse_vacuum(TokenReader& reader);
ParsedCommand parse_analyze(TokenReader& reader);
ParsedCommand parse_backup_database(TokenReader& reader);
ParsedCommand parse_restore_database(TokenReader& reader);
ParsedCommand parse_show_backup(TokenReader& reader);
ParsedCommand parse_register_table(TokenReader& reader);
ParsedCommand parse_unregister_table(TokenReader& reader);
ParsedCommand parse_kill_job(TokenReader& reader);
ParsedCommand parse_export_user_data(TokenReader& reader);
ParsedCommand parse_show_export(TokenReader& reader);
ParsedCommand parse_kill_live_query(TokenReader& reader);
ParsedCommand parse_subscribe(TokenReader& reader);
ParsedCommand parse_begin(TokenReader& reader);
ParsedCommand parse_commit(TokenReader& reader);
ParsedCommand parse_rollback(TokenReader& reader);
ParsedCommand parse_savepoint(TokenReader& reader);
ParsedCommand parse_set(TokenReader& reader);
ParsedCommand parse_not_implemented(TokenReader& reader);

}  // namespace kalamdb::query
