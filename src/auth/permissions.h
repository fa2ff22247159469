// The permission decision: what each role may do with what. Everything that asks "may they?" asks here.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "catalog/user.h"
#include "model/table.h"

namespace kalamdb::auth {

// Who acts: under EXECUTE AS USER, the target with role user.
struct Actor {
  UserId user;
  catalog::Role role = catalog::Role::kUser;
};

// Errors of all of these: kPermissionDenied or kUnauthorized, with the text that clients know.

// Rows. USER and STREAM tables are open to everyone, since each sees only their own; system tables are for
// administrators but for the few that show everyone what they may use.
Result<> check_read(const model::TableDefinition& table, catalog::Role role);
Result<> check_write(const model::TableDefinition& table, catalog::Role role);

// Tables. A table belongs to who created it; administrators may change every one.
Result<> check_create_table(model::TableType type, catalog::Role role);
Result<> check_alter_table(const model::TableDefinition& table, const Actor& actor);  // RENAME too
Result<> check_set_access_level(const model::TableDefinition& table, model::AccessLevel level, const Actor& actor);
Result<> check_drop_table(catalog::Role role);
// `statement` is the words in front of TABLE or ALL: "STORAGE FLUSH", "STORAGE COMPACT".
Result<> check_maintain_tables(std::string_view statement, catalog::Role role);

// What only administrators may do; the area names it in the refusal ("namespace operations").
enum class AdminArea : uint8_t {
  kNamespace,
  kStorage,
  kUser,
  kTopic,
  kView,
  kBackup,
  kJob,
  kLiveQuery,
  kSettings,
  kManifest,
  kRegister
};
Result<> check_admin(AdminArea area, catalog::Role role);

// KILL JOB: administrators any, others the ones they started.
Result<> check_kill_job(const UserId& started_by, const Actor& actor);
Result<> check_kill_live_query(const UserId& owner, const Actor& actor);
// CONSUME and ACK.
Result<> check_consume(catalog::Role role);

// Users. A dba may neither make nor touch users of role system; everyone may change their own password.
Result<> check_create_user(catalog::Role new_role, const Actor& actor);
Result<> check_change_user(const catalog::User& target, std::optional<catalog::Role> new_role, const Actor& actor);
Result<> check_set_password(const catalog::User& target, const Actor& actor);
Result<> check_drop_user(const catalog::User& target, const Actor& actor);

// EXECUTE AS USER; `target_role` is nullopt for a user that does not exist, who counts as role user.
Result<> check_execute_as(const Actor& actor, std::string_view target, std::optional<catalog::Role> target_role);

}  // namespace kalamdb::auth
