#include "auth/permissions.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace kalamdb::auth {
namespace {

using catalog::Role;
using model::AccessLevel;
using model::TableDefinition;
using model::TableType;

// System tables that every role may read, where they show only what it may use.
constexpr std::array<std::string_view, 4> kOpenSystemTables = {"namespaces", "tables", "columns", "datatypes"};

constexpr std::string_view area_name(AdminArea area) {
  switch (area) {
    case AdminArea::kNamespace:
      return "namespace operations";
    case AdminArea::kStorage:
      return "storage operations";
    case AdminArea::kUser:
      return "user management";
    case AdminArea::kTopic:
      return "topic operations";
    case AdminArea::kView:
      return "view operations";
    case AdminArea::kBackup:
      return "backup and restore operations";
    case AdminArea::kJob:
      return "job operations";
    case AdminArea::kLiveQuery:
      return "live query operations";
    case AdminArea::kSettings:
      return "settings";
    case AdminArea::kManifest:
      return "manifest operations";
    case AdminArea::kRegister:
      return "REGISTER and UNREGISTER TABLE";
  }
  return "this operation";
}

bool is_at_least_service(Role role) { return role != Role::kUser; }

std::unexpected<Error> access_denied(const TableDefinition& table, Role role, const std::string& reason) {
  return fail(ErrorCode::kPermissionDenied, "Access denied: Role '" + std::string(catalog::pascal_name(role)) +
                                                "' cannot access table '" + table.qualified_name() + "'. " + reason);
}

std::unexpected<Error> insufficient(std::string_view what) {
  return fail(ErrorCode::kUnauthorized, "Insufficient privileges to " + std::string(what));
}

std::string level_text(AccessLevel level) { return "(access_level=" + std::string(model::pascal_name(level)) + ")"; }

// Of the roles below dba: which types they may create and, if theirs, alter.
bool may_own(TableType type, Role role) {
  if (type == TableType::kShared) return is_at_least_service(role);
  return type == TableType::kUser || type == TableType::kStream;
}

bool may_alter(const TableDefinition& table, const Actor& actor) {
  if (table.type == TableType::kSystem) return false;
  if (catalog::is_admin(actor.role)) return true;
  return table.created_by == actor.user.value && may_own(table.type, actor.role);
}

// A dba must not get at users of role system, by no statement.
Result<> check_not_above(Role target, const Actor& actor, std::string_view what) {
  if (actor.role != Role::kSystem && target == Role::kSystem) return insufficient(what);
  return {};
}

}  // namespace

Result<> check_read(const TableDefinition& table, Role role) {
  switch (table.type) {
    case TableType::kUser:
    case TableType::kStream:
    case TableType::kView:  // what it reads is checked table by table
      return {};
    case TableType::kSystem:
      if (catalog::is_admin(role) || table.namespace_id == "information_schema" ||
          std::ranges::find(kOpenSystemTables, table.name) != kOpenSystemTables.end()) {
        return {};
      }
      return access_denied(table, role, "System tables require 'dba' or 'system' role.");
    case TableType::kShared:
      break;
  }
  const AccessLevel level = table.options.access_level;
  const bool allowed = level == AccessLevel::kPublic ||
                       (level == AccessLevel::kDba ? catalog::is_admin(role) : is_at_least_service(role));
  if (allowed) return {};
  return access_denied(table, role, "Shared table access denied " + level_text(level));
}

Result<> check_write(const TableDefinition& table, Role role) {
  switch (table.type) {
    case TableType::kUser:
    case TableType::kStream:
      return {};
    case TableType::kSystem:
      return access_denied(table, role, "System tables are managed internally.");
    case TableType::kView:
      return access_denied(table, role, "A view cannot be written to.");
    case TableType::kShared:
      break;
  }
  const AccessLevel level = table.options.access_level;
  if (level == AccessLevel::kDba ? catalog::is_admin(role) : is_at_least_service(role)) return {};
  return access_denied(table, role, "Shared table write denied " + level_text(level));
}

Result<> check_create_table(TableType type, Role role) {
  if (may_own(type, role)) return {};
  return insufficient("create " + std::string(model::lower_name(type)) + " tables");
}

Result<> check_alter_table(const TableDefinition& table, const Actor& actor) {
  if (may_alter(table, actor)) return {};
  return insufficient("alter table");
}

Result<> check_set_access_level(const TableDefinition& table, AccessLevel level, const Actor& actor) {
  const bool admins_only = level == AccessLevel::kDba || table.options.access_level == AccessLevel::kDba;
  if (may_alter(table, actor) && (!admins_only || catalog::is_admin(actor.role))) return {};
  return insufficient("alter table");
}

Result<> check_drop_table(Role role) {
  if (catalog::is_admin(role)) return {};
  return insufficient("drop this table");
}

Result<> check_maintain_tables(std::string_view statement, Role role) {
  if (is_at_least_service(role)) return {};
  return fail(ErrorCode::kUnauthorized, std::string(statement) + " TABLE requires Service, DBA, or System role");
}

Result<> check_admin(AdminArea area, Role role) {
  if (catalog::is_admin(role)) return {};
  return fail(ErrorCode::kPermissionDenied,
              "Admin privileges (DBA or System role) required for " + std::string(area_name(area)));
}

Result<> check_kill_job(const UserId& started_by, const Actor& actor) {
  if (started_by == actor.user) return {};
  return check_admin(AdminArea::kJob, actor.role);
}

Result<> check_kill_live_query(const UserId& owner, const Actor& actor) {
  if (owner == actor.user) return {};
  return check_admin(AdminArea::kLiveQuery, actor.role);
}

Result<> check_consume(Role role) {
  if (is_at_least_service(role)) return {};
  return fail(ErrorCode::kPermissionDenied, "Topic consumption requires service, dba, or system role");
}

Result<> check_create_user(Role new_role, const Actor& actor) {
  KALAM_CHECK(check_admin(AdminArea::kUser, actor.role));
  if (new_role == Role::kSystem && actor.role != Role::kSystem) {
    return fail(ErrorCode::kUnauthorized, "DBA cannot grant System role");
  }
  return {};
}

Result<> check_change_user(const catalog::User& target, std::optional<Role> new_role, const Actor& actor) {
  KALAM_CHECK(check_create_user(new_role.value_or(Role::kUser), actor));
  return check_not_above(target.role, actor, "alter a system user");
}

Result<> check_set_password(const catalog::User& target, const Actor& actor) {
  if (target.id == actor.user.value) return {};
  return check_change_user(target, std::nullopt, actor);
}

Result<> check_drop_user(const catalog::User& target, const Actor& actor) {
  KALAM_CHECK(check_admin(AdminArea::kUser, actor.role));
  return check_not_above(target.role, actor, "drop a system user");
}

Result<> check_execute_as(const Actor& actor, std::string_view target, std::optional<Role> target_role) {
  const Role role = target_role.value_or(Role::kUser);
  bool allowed = actor.user.value == target;
  switch (actor.role) {
    case Role::kSystem:
      allowed = true;
      break;
    case Role::kDba:
      allowed |= role != Role::kSystem;
      break;
    case Role::kService:
      allowed |= role == Role::kService || role == Role::kUser;
      break;
    case Role::kUser:
      break;
  }
  if (allowed) return {};
  return fail(ErrorCode::kUnauthorized, "EXECUTE AS USER is not authorized: actor '" + actor.user.value +
                                            "' with role " + std::string(catalog::pascal_name(actor.role)) +
                                            " cannot target '" + std::string(target) + "' with role " +
                                            std::string(catalog::pascal_name(role)));
}

}  // namespace kalamdb::auth
