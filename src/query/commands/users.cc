// CREATE USER name WITH PASSWORD 'p' ROLE role [EMAIL 'e'] [STORAGE 'id']
// ALTER USER name SET PASSWORD 'p' | SET ROLE role | SET EMAIL 'e' | SET STORAGE 'id' | RESTORE
// DROP USER [IF EXISTS] name
#include "auth/permissions.h"
#include "model/names.h"
#include "query/commands.h"
#include "query/housekeeping.h"

namespace kalamdb::query {

namespace {

Result<catalog::Role> read_role(TokenReader& reader) {
  KALAM_TRY(const std::string word, reader.string_or_word("a role"));
  const auto role = catalog::parse_role(word);
  if (!role) {
    return fail(ErrorCode::kInvalidSql, "Invalid role '" + word + "'. Use user, service, dba or system");
  }
  return *role;
}

Result<std::string> read_user_id(TokenReader& reader) {
  KALAM_TRY(std::string id, reader.string_or_word("a user name"));
  KALAM_CHECK(model::validate_user_id(id));
  return id;
}

Result<std::string> hash(const Services& services, const std::string& password) {
  KALAM_CHECK(auth::check_password(password, services.limits.passwords));
  return auth::hash_password(password, services.limits.bcrypt_cost, services.random);
}

class CreateUser : public Command {
 public:
  std::string id;
  std::string password;
  catalog::Role role = catalog::Role::kUser;
  std::optional<std::string> email;
  std::string storage_id;

  Result<> authorize(const Caller& caller) const override {
    return auth::check_create_user(role, {caller.user, caller.role});
  }

  Result<StatementResult> run(const Services& services, const StatementContext&) const override {
    if (services.catalog.find_user(id) != nullptr) {
      return fail(ErrorCode::kAlreadyExists, "User '" + id + "' already exists");
    }
    catalog::User user;
    user.id = id;
    KALAM_TRY(user.password_hash, hash(services, password));
    user.role = role;
    user.email = email;
    user.storage_id = storage_id;
    KALAM_CHECK(services.catalog.create_user(std::move(user)));
    StatementResult result;
    result.message = "User '" + id + "' created";
    return result;
  }
};

class AlterUser : public Command {
 public:
  std::string id;
  std::optional<std::string> password;
  std::optional<catalog::Role> role;
  std::optional<std::string> email;
  std::optional<std::string> storage_id;  // empty: none in particular
  bool restore = false;

  Result<> authorize(const Caller& caller) const override {
    // Everybody may change their own password, but nobody that of whom they only act for.
    if (password && caller.user.value == id && !caller.as_user) return {};
    return auth::check_admin(auth::AdminArea::kUser, caller.role);
  }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    const auto current = services.catalog.find_user(id);
    if (current == nullptr || (current->deleted_at_us != 0 && !restore)) {
      return fail(ErrorCode::kNotFound, "User '" + id + "' not found");
    }
    if (restore && current->deleted_at_us != 0 && !is_in_grace(services, *current)) {
      return fail(ErrorCode::kInvalidOperation, "User '" + id + "' was dropped more than " +
                                                    std::to_string(services.limits.deletion_grace_days) +
                                                    " days ago and cannot come back");
    }
    const auth::Actor actor{context.caller.user, context.caller.role};
    KALAM_CHECK(password ? auth::check_set_password(*current, actor) : auth::check_change_user(*current, role, actor));
    std::string new_hash;
    if (password) {
      KALAM_TRY(new_hash, hash(services, *password));
    }
    KALAM_CHECK(services.catalog.change_user(id, [&](catalog::User& user) {
      if (password) user.password_hash = new_hash;
      if (role) user.role = *role;
      if (email) user.email = *email;
      if (storage_id) user.storage_id = *storage_id;
      if (restore) user.deleted_at_us = 0;
    }));
    StatementResult result;
    result.message = "User '" + id + "' updated";
    return result;
  }
};

class DropUser : public Command {
 public:
  std::string id;
  bool if_exists = false;

  Result<> authorize(const Caller& caller) const override {
    return auth::check_admin(auth::AdminArea::kUser, caller.role);
  }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    StatementResult result;
    if (id == "root") {
      return fail(ErrorCode::kInvalidOperation, "The user 'root' cannot be dropped: nobody could bring it back");
    }
    const auto current = services.catalog.find_user(id);
    if (current == nullptr || current->deleted_at_us != 0) {
      if (!if_exists) return fail(ErrorCode::kNotFound, "User '" + id + "' not found");
      result.message = "User '" + id + "' does not exist (skipped)";
      return result;
    }
    KALAM_CHECK(auth::check_drop_user(*current, {context.caller.user, context.caller.role}));
    const int64_t now_us = services.clock.now_us();
    KALAM_CHECK(services.catalog.change_user(id, [&](catalog::User& user) { user.deleted_at_us = now_us; }));
    result.message = "User '" + id + "' dropped (soft delete)";
    return result;
  }
};

}  // namespace

ParsedCommand parse_create_user(TokenReader& reader) {
  auto command = std::make_unique<CreateUser>();
  KALAM_TRY(command->id, read_user_id(reader));
  (void)reader.accept("with");
  if (reader.peek({"oauth"}) || reader.peek({"internal"})) {
    return fail(ErrorCode::kNotImplemented, "Only users WITH PASSWORD can be created so far");
  }
  KALAM_CHECK(reader.expect("password"));
  KALAM_TRY(command->password, reader.string("a password in quotes"));
  if (!reader.accept("role")) return fail(ErrorCode::kInvalidSql, "Expected ROLE keyword");
  KALAM_TRY(command->role, read_role(reader));
  if (reader.accept("email")) {
    KALAM_TRY(command->email, reader.string("an e-mail address in quotes"));
  }
  if (reader.accept("storage")) {
    KALAM_TRY(command->storage_id, reader.string("a storage id in quotes"));
  }
  KALAM_CHECK(reader.end());
  return command;
}

ParsedCommand parse_alter_user(TokenReader& reader) {
  auto command = std::make_unique<AlterUser>();
  KALAM_TRY(command->id, read_user_id(reader));
  if (reader.accept("restore")) {
    command->restore = true;
  } else {
    (void)reader.accept("set");
    if (reader.accept("password")) {
      KALAM_TRY(command->password, reader.string("a password in quotes"));
    } else if (reader.accept("role")) {
      KALAM_TRY(command->role, read_role(reader));
    } else if (reader.accept("email")) {
      KALAM_TRY(command->email, reader.string("an e-mail address in quotes"));
    } else if (reader.accept("storage")) {
      KALAM_TRY(command->storage_id, reader.string("a storage id in quotes"));
    } else {
      return fail(reader.unexpected("PASSWORD, ROLE, EMAIL, STORAGE or RESTORE"));
    }
  }
  KALAM_CHECK(reader.end());
  return command;
}

ParsedCommand parse_drop_user(TokenReader& reader) {
  auto command = std::make_unique<DropUser>();
  command->if_exists = reader.accept({"if", "exists"});
  KALAM_TRY(command->id, read_user_id(reader));
  KALAM_CHECK(reader.end());
  return command;
}

}  // namespace kalamdb::query
