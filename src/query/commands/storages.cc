// CREATE STORAGE [IF NOT EXISTS] id TYPE filesystem|s3 [options]
// ALTER STORAGE id SET option [[,] [SET] option …]
// DROP STORAGE [IF EXISTS] id
// STORAGE CHECK id [EXTENDED]
//
// An option is a word and a text in quotes.
#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include "auth/permissions.h"
#include "query/commands.h"

namespace kalamdb::query {

namespace {

using model::TypeTag;
using model::Value;

// By word, in lower case.
using Options = std::map<std::string, std::string, std::less<>>;

Result<> check_role(const Caller& caller) { return auth::check_admin(auth::AdminArea::kStorage, caller.role); }

StatementResult message(std::string text) {
  StatementResult result;
  result.message = std::move(text);
  return result;
}

// A storage that cannot be used is refused, rather than the first flush to it.
Result<> check_health(const Services& services, const cold::StorageDefinition& definition) {
  const auto storage = services.storage.storages().connect(definition);
  KALAM_TRY(const auto objects, storage->objects);
  const auto health = storage::check_storage(*objects, services.clock, services.random);
  if (health.healthy()) return {};
  const auto word = [](bool yes) { return yes ? "true" : "false"; };
  if (health.status() == "unreachable") {
    return fail(ErrorCode::kInvalidOperation, "Storage connectivity check failed (latency " +
                                                  std::to_string(health.latency_ms) + " ms): " + health.error);
  }
  return fail(ErrorCode::kInvalidOperation, "Storage health check failed (status " + std::string(health.status()) +
                                                ", readable=" + word(health.readable) + ", writable=" +
                                                word(health.writable) + ", listable=" + word(health.listable) +
                                                ", deletable=" + word(health.deletable) + "): " + health.error);
}

// What CREATE and ALTER have in common.
Result<> apply_options(const Services& services, const Options& options, cold::StorageDefinition& definition) {
  for (const auto& [option, value] : options) {
    if (option == "name") definition.name = value;
    if (option == "description") definition.description = value;
    if (option == "shared_tables_template") definition.shared_template = value;
    if (option == "user_tables_template") definition.user_template = value;
    if (option == "config") definition.config = value;
    if (option != "credentials") continue;
    if (definition.type != cold::StorageType::kS3) {
      return fail(ErrorCode::kInvalidOperation, "CREDENTIALS are for storages of type s3");
    }
    KALAM_TRY(definition.credentials, services.storage.storages().seal_credentials(definition.id, value));
  }
  return cold::validate(definition);
}

class CreateStorage : public Command {
 public:
  std::string id;
  bool if_not_exists = false;
  cold::StorageType type = cold::StorageType::kFilesystem;
  Options options;

  Result<> authorize(const Caller& caller) const override { return check_role(caller); }

  Result<StatementResult> run(const Services& services, const StatementContext&) const override {
    if (services.storage.storages().find(id) != nullptr) {
      if (if_not_exists) return message("Storage '" + id + "' already exists (skipped)");
      return fail(ErrorCode::kAlreadyExists, "Storage '" + id + "' already exists");
    }
    cold::StorageDefinition definition{.id = id, .name = id, .type = type};
    // As for `local`, until told otherwise.
    const auto local = services.storage.storages().find(cold::kLocalStorage);
    definition.shared_template = local->definition.shared_template;
    definition.user_template = local->definition.user_template;
    KALAM_TRY(definition.base, base());
    if (const auto region = options.find("region"); region != options.end()) definition.region = region->second;
    KALAM_CHECK(apply_options(services, options, definition));
    KALAM_CHECK(services.catalog.check_new_storage(definition));
    KALAM_CHECK(check_health(services, definition));
    KALAM_CHECK(services.catalog.create_storage(std::move(definition)));
    return message("Storage '" + id + "' created successfully");
  }

 private:
  // A directory without slashes at its end, or the URL of a bucket.
  Result<std::string> base() const {
    const bool is_s3 = type == cold::StorageType::kS3;
    const auto bucket = options.find("bucket");
    auto given = options.find("path");
    if (given == options.end()) given = options.find("base_directory");
    if (given == options.end() && is_s3) given = bucket;
    if (given == options.end()) {
      return fail(ErrorCode::kInvalidOperation,
                  is_s3 ? "A storage of type s3 needs BUCKET 'name'" : "A filesystem storage needs PATH '/directory'");
    }
    std::string base = given->second;
    while (base.size() > 1 && base.ends_with('/')) base.pop_back();
    if (is_s3 && !base.starts_with("s3://")) base.insert(0, "s3://");
    return base;
  }
};

class AlterStorage : public Command {
 public:
  std::string id;
  Options options;

  Result<> authorize(const Caller& caller) const override { return check_role(caller); }

  Result<StatementResult> run(const Services& services, const StatementContext&) const override {
    const auto current = services.storage.storages().find(id);
    if (current == nullptr) return fail(ErrorCode::kNotFound, "Storage '" + id + "' not found");
    cold::StorageDefinition definition = current->definition;
    KALAM_CHECK(apply_options(services, options, definition));
    KALAM_CHECK(check_health(services, definition));
    KALAM_CHECK(services.catalog.alter_storage(
        id, [&](cold::StorageDefinition& latest) { return apply_options(services, options, latest); }));
    return message("Storage '" + id + "' altered successfully");
  }
};

class DropStorage : public Command {
 public:
  std::string id;
  bool if_exists = false;

  Result<> authorize(const Caller& caller) const override { return check_role(caller); }

  Result<StatementResult> run(const Services& services, const StatementContext&) const override {
    if (if_exists && services.storage.storages().find(id) == nullptr) {
      return message("Storage '" + id + "' does not exist (skipped)");
    }
    KALAM_CHECK(services.catalog.drop_storage(id));
    return message("Storage '" + id + "' dropped successfully");
  }
};

class CheckStorage : public Command {
 public:
  std::string id;
  bool extended = false;

  Result<> authorize(const Caller& caller) const override { return check_role(caller); }
  bool is_allowed_in_transaction() const override { return true; }

  Result<StatementResult> run(const Services& services, const StatementContext&) const override {
    const auto storage = services.storage.storages().find(id);
    if (storage == nullptr) return fail(ErrorCode::kNotFound, "Storage '" + id + "' not found");
    storage::StorageHealth health;
    if (storage->objects) {
      health = storage::check_storage(**storage->objects, services.clock, services.random);
    } else {
      health.error = storage->objects.error().message;
    }
    const auto [total_bytes, used_bytes] = extended ? space(*storage) : std::pair<Value, Value>();
    StatementResult result;
    result.rows =
        make_result({result_column("storage_id", TypeTag::kText), result_column("status", TypeTag::kText),
                     result_column("readable", TypeTag::kBoolean), result_column("writable", TypeTag::kBoolean),
                     result_column("listable", TypeTag::kBoolean), result_column("deletable", TypeTag::kBoolean),
                     result_column("latency_ms", TypeTag::kBigInt), result_column("total_bytes", TypeTag::kBigInt),
                     result_column("used_bytes", TypeTag::kBigInt), result_column("error", TypeTag::kText),
                     result_column("tested_at", TypeTag::kTimestamp)},
                    {{id, std::string(health.status()), health.readable, health.writable, health.listable,
                      health.deletable, health.latency_ms, total_bytes, used_bytes,
                      health.error.empty() ? Value() : Value(health.error), services.clock.now_us()}});
    return result;
  }

 private:
  // Of a directory's disk; of a bucket only what is used. NULL where it cannot be told.
  static std::pair<Value, Value> space(const storage::RegisteredStorage& storage) {
    if (storage.definition.type == cold::StorageType::kFilesystem) {
      std::error_code error;
      const auto disk = std::filesystem::space(storage.definition.base, error);
      if (error) return {};
      return {static_cast<int64_t>(disk.capacity), static_cast<int64_t>(disk.capacity - disk.free)};
    }
    if (!storage.objects) return {};
    const auto objects = (*storage.objects)->list("");
    if (!objects) return {};
    int64_t used = 0;
    for (const auto& object : *objects) used += static_cast<int64_t>(object.size_bytes);
    return {Value(), used};
  }
};

Result<std::string> read_id(TokenReader& reader) {
  KALAM_TRY(std::string id, reader.string_or_word("a storage id"));
  KALAM_CHECK(cold::validate_storage_id(id));
  return id;
}

Result<> read_option(TokenReader& reader, std::span<const std::string_view> known, Options& options) {
  KALAM_TRY(const Name option, reader.name("an option"));
  const std::string word = lower(option.text);
  if (std::ranges::find(known, word) == known.end()) {
    std::string list;
    for (const std::string_view other : known) list.append(list.empty() ? "" : ", ").append(other);
    return fail(ErrorCode::kInvalidSql, "Unknown storage option '" + option.text + "'. Known are " + list);
  }
  KALAM_TRY(std::string value, reader.string("a text in quotes behind " + option.text));
  if (!options.emplace(word, std::move(value)).second) {
    return fail(ErrorCode::kInvalidSql, "Storage option '" + option.text + "' is given twice");
  }
  return {};
}

constexpr std::array<std::string_view, 10> kCreateOptions{"name",
                                                          "description",
                                                          "path",
                                                          "base_directory",
                                                          "bucket",
                                                          "region",
                                                          "shared_tables_template",
                                                          "user_tables_template",
                                                          "credentials",
                                                          "config"};
constexpr std::array<std::string_view, 6> kAlterOptions{
    "name", "description", "shared_tables_template", "user_tables_template", "credentials", "config"};

}  // namespace

ParsedCommand parse_create_storage(TokenReader& reader) {
  auto command = std::make_unique<CreateStorage>();
  command->if_not_exists = reader.accept({"if", "not", "exists"});
  KALAM_TRY(command->id, read_id(reader));
  KALAM_CHECK(reader.expect("type"));
  KALAM_TRY(const std::string type, reader.string_or_word("a storage type"));
  KALAM_TRY(command->type, cold::parse_storage_type(type));
  while (!reader.at_end()) KALAM_CHECK(read_option(reader, kCreateOptions, command->options));
  return command;
}

ParsedCommand parse_alter_storage(TokenReader& reader) {
  auto command = std::make_unique<AlterStorage>();
  KALAM_TRY(command->id, read_id(reader));
  KALAM_CHECK(reader.expect("set"));
  do {
    KALAM_CHECK(read_option(reader, kAlterOptions, command->options));
    (void)reader.accept(",");
    (void)reader.accept("set");
  } while (!reader.at_end());
  return command;
}

ParsedCommand parse_drop_storage(TokenReader& reader) {
  auto command = std::make_unique<DropStorage>();
  command->if_exists = reader.accept({"if", "exists"});
  KALAM_TRY(command->id, read_id(reader));
  KALAM_CHECK(reader.end());
  return command;
}

ParsedCommand parse_storage_check(TokenReader& reader) {
  auto command = std::make_unique<CheckStorage>();
  KALAM_TRY(command->id, read_id(reader));
  command->extended = reader.accept("extended");
  KALAM_CHECK(reader.end());
  return command;
}

}  // namespace kalamdb::query
