// The options of CREATE TABLE … WITH (…), one row each.
#include <algorithm>
#include <array>
#include <charconv>

#include "query/create_table_parser.h"

namespace kalamdb::query {

using model::AccessLevel;
using model::TableType;

namespace {

Result<uint64_t> number(std::string_view name, std::string_view value) {
  uint64_t result = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  if (error != std::errc{} || end != value.data() + value.size()) {
    return fail(ErrorCode::kInvalidOperation,
                "Option " + std::string(name) + " needs a whole number, not '" + std::string(value) + "'");
  }
  return result;
}

Result<bool> boolean(std::string_view name, std::string_view value) {
  if (equal_ignoring_case(value, "true")) return true;
  if (equal_ignoring_case(value, "false")) return false;
  return fail(ErrorCode::kInvalidOperation,
              "Option " + std::string(name) + " is true or false, not '" + std::string(value) + "'");
}

Result<> set_type(CreateTableAst& ast, std::string_view value) {
  for (const TableType type : {TableType::kUser, TableType::kShared, TableType::kStream}) {
    if (!equal_ignoring_case(value, lower_name(type))) continue;
    if (ast.type && *ast.type != type) {
      return fail(ErrorCode::kInvalidOperation, "Conflicting table type definitions: CREATE " +
                                                    std::string(upper_name(*ast.type)) + " TABLE with TYPE='" +
                                                    std::string(upper_name(type)) + "'");
    }
    ast.type = type;
    return {};
  }
  return fail(ErrorCode::kInvalidOperation,
              "Invalid table type '" + std::string(value) + "'. Use USER, SHARED or STREAM");
}

Result<> set_storage_id(CreateTableAst& ast, std::string_view value) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; };
  if (value.empty() || !std::ranges::all_of(value, allowed)) {
    return fail(ErrorCode::kInvalidOperation,
                "Storage id '" + std::string(value) + "' may hold only letters, digits, '_' and '-'");
  }
  ast.options.storage_id = value;
  return {};
}

Result<> set_use_user_storage(CreateTableAst& ast, std::string_view value) {
  KALAM_TRY(ast.options.use_user_storage, boolean("USE_USER_STORAGE", value));
  return {};
}

Result<> set_flush_policy(CreateTableAst& ast, std::string_view value) {
  KALAM_TRY(ast.options.flush_policy, parse_flush_policy(value));
  return {};
}

Result<> set_retention(CreateTableAst& ast, std::string_view value) {
  KALAM_TRY(ast.options.deleted_retention_hours, number("DELETED_RETENTION_HOURS", value));
  return {};
}

Result<> set_ttl(CreateTableAst& ast, std::string_view value) {
  KALAM_TRY(ast.options.ttl_seconds, number("TTL_SECONDS", value));
  if (ast.options.ttl_seconds == 0 || ast.options.ttl_seconds > 10ULL * 365 * 24 * 3600) {
    return fail(ErrorCode::kInvalidOperation, "TTL_SECONDS must be from 1 second to ten years");
  }
  return {};
}

Result<> set_max_rows(CreateTableAst& ast, std::string_view value) {
  KALAM_TRY(ast.options.max_rows_per_user, number("MAX_ROWS_PER_USER", value));
  return {};
}

Result<> set_max_size(CreateTableAst& ast, std::string_view value) {
  KALAM_TRY(ast.options.max_stream_size_bytes, number("MAX_STREAM_SIZE_BYTES", value));
  return {};
}

Result<> set_eviction_strategy(CreateTableAst& ast, std::string_view value) {
  ast.eviction_strategy = lower(value);
  for (const std::string_view strategy : {"time", "size", "hybrid"}) {
    if (ast.eviction_strategy == strategy) return {};
  }
  return fail(ErrorCode::kInvalidOperation,
              "Invalid eviction strategy '" + std::string(value) + "'. Use time, size or hybrid");
}

Result<> set_access_level(CreateTableAst& ast, std::string_view value) {
  for (const AccessLevel level :
       {AccessLevel::kPublic, AccessLevel::kPrivate, AccessLevel::kRestricted, AccessLevel::kDba}) {
    if (!equal_ignoring_case(value, lower_name(level))) continue;
    ast.options.access_level = level;
    return {};
  }
  return fail(ErrorCode::kInvalidOperation,
              "Invalid access level '" + std::string(value) + "'. Use PUBLIC, PRIVATE, RESTRICTED or DBA");
}

Result<> set_compression(CreateTableAst& ast, std::string_view value) {
  for (const std::string_view codec : {"zstd", "snappy", "gzip", "lz4", "none"}) {
    if (!equal_ignoring_case(value, codec)) continue;
    ast.options.compression = codec;
    return {};
  }
  return fail(ErrorCode::kInvalidOperation,
              "Invalid compression '" + std::string(value) + "'. Use zstd, snappy, gzip, lz4 or none");
}

struct Option {
  std::string_view name;
  Result<> (*apply)(CreateTableAst&, std::string_view);
  std::optional<TableType> only_for = {};
};
constexpr std::array kOptions{Option{"compression", set_compression},
                              Option{"type", set_type},
                              Option{"storage_id", set_storage_id},
                              Option{"use_user_storage", set_use_user_storage, TableType::kUser},
                              Option{"flush_policy", set_flush_policy},
                              Option{"deleted_retention_hours", set_retention},
                              Option{"access_level", set_access_level, TableType::kShared},
                              Option{"max_rows_per_user", set_max_rows, TableType::kUser},
                              Option{"ttl_seconds", set_ttl, TableType::kStream},
                              Option{"max_stream_size_bytes", set_max_size, TableType::kStream},
                              Option{"eviction_strategy", set_eviction_strategy, TableType::kStream}};

// Options that say what holds anyway: they are kept and shown, in TableOptions::extra.
struct KeptOption {
  std::string_view name;
  TableType only_for;
  std::string_view value;    // the only one that can be given; empty: true or false
  std::string_view why_not;  // another
};
constexpr std::array kKeptOptions{
    KeptOption{"partition_by_user", TableType::kUser, "true", "a USER table always keeps each user's rows apart"},
    KeptOption{"enable_rls", TableType::kUser, "true", "the rows of a USER table are always their user's alone"},
    KeptOption{"enable_replication", TableType::kShared, "", ""},  // has a meaning in a cluster only
};

// Known to clients, and refused until they do what they say.
constexpr std::array<std::string_view, 4> kLaterOptions{"enable_cache", "cache_ttl_seconds", "enable_compaction",
                                                        "watermark_delay_seconds"};

std::string upper_case(std::string_view name) {
  std::string upper(name);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
  return upper;
}

Result<> keep_option(CreateTableAst& ast, const KeptOption& option, std::string_view value) {
  if (option.value.empty()) {
    KALAM_CHECK(boolean(upper_case(option.name), value));
  } else if (!equal_ignoring_case(value, option.value)) {
    return fail(ErrorCode::kNotImplemented, "Table option '" + upper_case(option.name) + "' can only be " +
                                                std::string(option.value) + ": " + std::string(option.why_not));
  }
  ast.options.extra[std::string(option.name)] = lower(value);
  return {};
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

Result<> read_policy_part(std::string_view part, model::FlushPolicy& policy) {
  const size_t colon = part.find(':');
  if (colon == std::string_view::npos) {
    return fail(ErrorCode::kInvalidOperation,
                "Invalid FLUSH_POLICY format '" + std::string(part) + "'. Expected 'key:value'");
  }
  const std::string_view key = trim(part.substr(0, colon));
  KALAM_TRY(const uint64_t value, number("FLUSH_POLICY", trim(part.substr(colon + 1))));
  if (equal_ignoring_case(key, "rows")) {
    if (value == 0) return fail(ErrorCode::kInvalidOperation, "Row limit must be greater than 0");
    if (value >= 1'000'000) return fail(ErrorCode::kInvalidOperation, "Row limit must be less than 1,000,000");
    policy.rows = value;
  } else if (equal_ignoring_case(key, "interval")) {
    if (value == 0) return fail(ErrorCode::kInvalidOperation, "Interval must be greater than 0");
    if (value >= 86'400) {
      return fail(ErrorCode::kInvalidOperation, "Interval must be less than 86400 seconds (24 hours)");
    }
    policy.interval_seconds = value;
  } else {
    return fail(ErrorCode::kInvalidOperation, "Unknown FLUSH_POLICY key '" + std::string(key) + "'");
  }
  return {};
}

}  // namespace

Result<model::FlushPolicy> parse_flush_policy(std::string_view text) {
  model::FlushPolicy policy;
  if (trim(text).empty()) {
    return fail(ErrorCode::kInvalidOperation, "FLUSH_POLICY must specify 'rows' or 'interval' > 0");
  }
  while (true) {
    const size_t comma = text.find(',');
    KALAM_CHECK(read_policy_part(trim(text.substr(0, comma)), policy));
    if (comma == std::string_view::npos) return policy;
    text.remove_prefix(comma + 1);
  }
}

Result<> apply_table_option(CreateTableAst& ast, std::string_view name, std::string_view value) {
  ast.given.emplace(name);
  for (const Option& option : kOptions) {
    if (option.name == name) return option.apply(ast, value);
  }
  for (const KeptOption& option : kKeptOptions) {
    if (option.name == name) return keep_option(ast, option, value);
  }
  const std::string upper = upper_case(name);
  if (std::ranges::find(kLaterOptions, name) != kLaterOptions.end()) {
    return fail(ErrorCode::kNotImplemented, "Table option '" + upper + "' is not supported yet; leave it out");
  }
  return fail(ErrorCode::kInvalidOperation, "Unknown table option '" + upper + "'");
}

Result<OptionValues> read_option_values(TokenReader& reader) {
  OptionValues options;
  KALAM_CHECK(reader.expect("("));
  do {
    KALAM_TRY(const Name option, reader.name("an option name"));
    if (!reader.accept("=")) (void)reader.accept("=>");
    std::string value;
    if (!reader.at_end() && reader.token().kind == duck::TokenKind::kNumber) {
      value = reader.token_text();
      reader.skip();
    } else {
      KALAM_TRY(value, reader.string_or_word("a value for option " + option.text));
    }
    options.emplace_back(lower(option.text), std::move(value));
  } while (reader.accept(","));
  KALAM_CHECK(reader.expect(")"));
  return options;
}

Result<> check_table_options(const CreateTableAst& ast, TableType type) {
  const auto& options = ast.options;
  if (type == TableType::kStream && options.flush_policy) {
    return fail(ErrorCode::kInvalidOperation, "FLUSH_POLICY does not apply to STREAM tables: they are never flushed");
  }
  if (type == TableType::kStream && ast.given.contains("compression")) {
    return fail(ErrorCode::kInvalidOperation, "COMPRESSION does not apply to STREAM tables: they are never flushed");
  }
  const auto check_type = [&](const auto& option) -> Result<> {
    const std::optional<TableType> only_for = option.only_for;
    if (!only_for || *only_for == type || !ast.given.contains(option.name)) return {};
    return fail(ErrorCode::kInvalidOperation,
                upper_case(option.name) + " is an option of " + std::string(upper_name(*only_for)) + " tables only");
  };
  for (const Option& option : kOptions) KALAM_CHECK(check_type(option));
  for (const KeptOption& option : kKeptOptions) KALAM_CHECK(check_type(option));
  return {};
}

Result<> settle_eviction(CreateTableAst& ast, bool is_new, uint64_t default_ttl_seconds) {
  auto& options = ast.options;
  std::string strategy = ast.eviction_strategy;
  if (strategy.empty()) {
    const bool by_size = options.max_stream_size_bytes > 0;
    const bool by_age = options.ttl_seconds > 0 || is_new;
    strategy = !by_size ? "time" : by_age ? "hybrid" : "size";
  }
  if (strategy == "time") {
    if (options.max_stream_size_bytes > 0 && ast.given.contains("max_stream_size_bytes")) {
      return fail(ErrorCode::kInvalidOperation, "MAX_STREAM_SIZE_BYTES needs EVICTION_STRATEGY 'size' or 'hybrid'");
    }
    options.max_stream_size_bytes = 0;
  } else if (options.max_stream_size_bytes == 0) {
    return fail(ErrorCode::kInvalidOperation, "EVICTION_STRATEGY '" + strategy + "' needs MAX_STREAM_SIZE_BYTES");
  }
  if (strategy == "size") {
    if (ast.given.contains("ttl_seconds")) {
      return fail(ErrorCode::kInvalidOperation, "EVICTION_STRATEGY 'size' takes no TTL_SECONDS; use 'hybrid' for both");
    }
    options.ttl_seconds = 0;
  } else if (options.ttl_seconds == 0) {
    options.ttl_seconds = default_ttl_seconds;
  }
  return {};
}

}  // namespace kalamdb::query
