#include "auth/permissions.h"

#include <gtest/gtest.h>

namespace kalamdb::auth {
namespace {

using catalog::Role;
using model::AccessLevel;
using model::TableDefinition;
using model::TableType;

constexpr Role kRoles[] = {Role::kUser, Role::kService, Role::kDba, Role::kSystem};

TableDefinition table(TableType type, AccessLevel level = AccessLevel::kPrivate, std::string creator = "") {
  TableDefinition definition;
  definition.namespace_id = type == TableType::kSystem ? "system" : "ns";
  definition.name = "t";
  definition.type = type;
  definition.options.access_level = level;
  definition.created_by = std::move(creator);
  return definition;
}

// One letter for each role in the order user, service, dba, system: y or n.
template <typename Check>
std::string row(const Check& check) {
  std::string answers;
  for (const Role role : kRoles) answers += check(role) ? 'y' : 'n';
  return answers;
}
Actor actor(Role role, std::string user = "me") { return {UserId(std::move(user)), role}; }

TEST(Permissions, ReadMatrix) {
  auto read = [](const TableDefinition& t) { return row([&](Role role) { return check_read(t, role); }); };
  EXPECT_EQ(read(table(TableType::kUser)), "yyyy");
  EXPECT_EQ(read(table(TableType::kStream)), "yyyy");
  EXPECT_EQ(read(table(TableType::kShared, AccessLevel::kPublic)), "yyyy");
  EXPECT_EQ(read(table(TableType::kShared, AccessLevel::kPrivate)), "nyyy");
  EXPECT_EQ(read(table(TableType::kShared, AccessLevel::kRestricted)), "nyyy");
  EXPECT_EQ(read(table(TableType::kShared, AccessLevel::kDba)), "nnyy");
  EXPECT_EQ(read(table(TableType::kSystem)), "nnyy");
  TableDefinition open = table(TableType::kSystem);
  open.name = "namespaces";
  EXPECT_EQ(read(open), "yyyy");
  open.name = "users";
  EXPECT_EQ(read(open), "nnyy");
}

TEST(Permissions, WriteMatrix) {
  auto write = [](const TableDefinition& t) { return row([&](Role role) { return check_write(t, role); }); };
  EXPECT_EQ(write(table(TableType::kUser)), "yyyy");
  EXPECT_EQ(write(table(TableType::kStream)), "yyyy");
  EXPECT_EQ(write(table(TableType::kShared, AccessLevel::kPublic)), "nyyy");
  EXPECT_EQ(write(table(TableType::kShared, AccessLevel::kPrivate)), "nyyy");
  EXPECT_EQ(write(table(TableType::kShared, AccessLevel::kRestricted)), "nyyy");
  EXPECT_EQ(write(table(TableType::kShared, AccessLevel::kDba)), "nnyy");
  EXPECT_EQ(write(table(TableType::kSystem)), "nnnn");
}

TEST(Permissions, DenialTexts) {
  EXPECT_EQ(check_read(table(TableType::kShared), Role::kUser).error().message,
            "Access denied: Role 'User' cannot access table 'ns.t'. Shared table access denied (access_level=Private)");
  EXPECT_EQ(check_write(table(TableType::kShared, AccessLevel::kPublic), Role::kUser).error().message,
            "Access denied: Role 'User' cannot access table 'ns.t'. Shared table write denied (access_level=Public)");
  EXPECT_EQ(
      check_read(table(TableType::kSystem), Role::kService).error().message,
      "Access denied: Role 'Service' cannot access table 'system.t'. System tables require 'dba' or 'system' role.");
  EXPECT_EQ(check_admin(AdminArea::kNamespace, Role::kUser).error().message,
            "Admin privileges (DBA or System role) required for namespace operations");
  EXPECT_EQ(check_create_table(TableType::kShared, Role::kUser).error().message,
            "Insufficient privileges to create shared tables");
  EXPECT_EQ(check_drop_table(Role::kService).error().message, "Insufficient privileges to drop this table");
  EXPECT_EQ(check_alter_table(table(TableType::kUser), actor(Role::kUser)).error().message,
            "Insufficient privileges to alter table");
  EXPECT_EQ(check_maintain_tables("STORAGE FLUSH", Role::kUser).error().message,
            "STORAGE FLUSH TABLE requires Service, DBA, or System role");
  EXPECT_EQ(check_execute_as({UserId("a"), Role::kUser}, "b", Role::kUser).error().message,
            "EXECUTE AS USER is not authorized: actor 'a' with role User cannot target 'b' with role User");
  EXPECT_EQ(check_create_user(Role::kSystem, actor(Role::kDba)).error().message, "DBA cannot grant System role");
}

TEST(Permissions, DefinitionsMatrix) {
  EXPECT_EQ(row([](Role role) { return check_create_table(TableType::kUser, role); }), "yyyy");
  EXPECT_EQ(row([](Role role) { return check_create_table(TableType::kStream, role); }), "yyyy");
  EXPECT_EQ(row([](Role role) { return check_create_table(TableType::kShared, role); }), "nyyy");
  EXPECT_EQ(row([](Role role) { return check_create_table(TableType::kSystem, role); }), "nnnn");
  EXPECT_EQ(row([](Role role) { return check_drop_table(role); }), "nnyy");
  EXPECT_EQ(row([](Role role) { return check_maintain_tables("STORAGE COMPACT", role); }), "nyyy");
  EXPECT_EQ(row([](Role role) { return check_admin(AdminArea::kStorage, role); }), "nnyy");
  EXPECT_EQ(row([](Role role) { return check_consume(role); }), "nyyy");
}

TEST(Permissions, TablesBelongToTheirCreators) {
  auto alter = [](TableType type, std::string creator) {
    return row([&](Role role) { return check_alter_table(table(type, AccessLevel::kPrivate, creator), actor(role)); });
  };
  EXPECT_EQ(alter(TableType::kUser, "me"), "yyyy");
  EXPECT_EQ(alter(TableType::kUser, "another"), "nnyy");
  EXPECT_EQ(alter(TableType::kStream, "me"), "yyyy");
  EXPECT_EQ(alter(TableType::kShared, "me"), "nyyy");
  EXPECT_EQ(alter(TableType::kShared, "another"), "nnyy");
  EXPECT_EQ(alter(TableType::kSystem, "me"), "nnnn");
}

TEST(Permissions, TheDbaLevelIsForAdministratorsInBothDirections) {
  auto set = [](AccessLevel from, AccessLevel to) {
    return row(
        [&](Role role) { return check_set_access_level(table(TableType::kShared, from, "me"), to, actor(role)); });
  };
  EXPECT_EQ(set(AccessLevel::kPrivate, AccessLevel::kPublic), "nyyy");
  EXPECT_EQ(set(AccessLevel::kPrivate, AccessLevel::kDba), "nnyy");
  EXPECT_EQ(set(AccessLevel::kDba, AccessLevel::kPublic), "nnyy");
}

TEST(Permissions, Jobs) {
  EXPECT_TRUE(check_kill_job(UserId("me"), actor(Role::kUser)));
  EXPECT_FALSE(check_kill_job(UserId("another"), actor(Role::kService)));
  EXPECT_TRUE(check_kill_job(UserId("another"), actor(Role::kDba)));
}

TEST(Permissions, Users) {
  const catalog::User me{.id = "me"};
  const catalog::User other{.id = "other"};
  const catalog::User root{.id = "root", .role = Role::kSystem};
  EXPECT_EQ(row([](Role role) { return check_create_user(Role::kUser, actor(role)); }), "nnyy");
  EXPECT_EQ(row([](Role role) { return check_create_user(Role::kSystem, actor(role)); }), "nnny");
  EXPECT_EQ(row([&](Role role) { return check_change_user(other, Role::kDba, actor(role)); }), "nnyy");
  EXPECT_EQ(row([&](Role role) { return check_change_user(other, Role::kSystem, actor(role)); }), "nnny");
  EXPECT_EQ(row([&](Role role) { return check_change_user(me, Role::kDba, actor(role)); }), "nnyy")
      << "no one promotes themselves";
  EXPECT_EQ(row([&](Role role) { return check_change_user(root, std::nullopt, actor(role)); }), "nnny");
  EXPECT_EQ(row([&](Role role) { return check_set_password(me, actor(role)); }), "yyyy");
  EXPECT_EQ(row([&](Role role) { return check_set_password(other, actor(role)); }), "nnyy");
  EXPECT_EQ(row([&](Role role) { return check_set_password(root, actor(role)); }), "nnny");
  EXPECT_EQ(row([&](Role role) { return check_drop_user(other, actor(role)); }), "nnyy");
  EXPECT_EQ(row([&](Role role) { return check_drop_user(root, actor(role)); }), "nnny");
}

TEST(Permissions, ExecuteAs) {
  auto as = [](std::optional<Role> target) {
    return row([&](Role role) { return check_execute_as(actor(role), "other", target); });
  };
  EXPECT_EQ(as(Role::kUser), "nyyy");
  EXPECT_EQ(as(Role::kService), "nyyy");
  EXPECT_EQ(as(Role::kDba), "nnyy");
  EXPECT_EQ(as(Role::kSystem), "nnny");
  EXPECT_EQ(as(std::nullopt), "nyyy") << "an unknown user counts as role user";
  EXPECT_EQ(row([](Role role) { return check_execute_as(actor(role), "me", role); }), "yyyy");
}

}  // namespace
}  // namespace kalamdb::auth
