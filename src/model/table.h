// The one schema model: every table, system tables included, is a TableDefinition, and everything that shows or uses a
// schema reads it from there.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/boxed.h"
#include "base/ids.h"
#include "model/value.h"

namespace kalamdb::model {

enum class TableType : uint8_t { kUser, kShared, kStream, kSystem, kView };
enum class AccessLevel : uint8_t { kPublic, kPrivate, kRestricted, kDba };

std::string_view lower_name(TableType type);      // "user"
std::string_view upper_name(TableType type);      // "USER"
std::string_view pascal_name(TableType type);     // "User"
std::string_view lower_name(AccessLevel level);   // "public"
std::string_view pascal_name(AccessLevel level);  // "Public"

// What a column gets when an INSERT leaves it out.
struct ColumnDefault {
  enum class Kind : uint8_t { kNone, kLiteral, kFunction };
  Kind kind = Kind::kNone;
  Boxed<Value> literal;  // kLiteral: already of the column's type; NULL for DEFAULT NULL
  std::string function;  // kFunction: "NOW", "SNOWFLAKE_ID", "UUID_V7", "ULID" or "CURRENT_USER"

  bool operator==(const ColumnDefault&) const = default;
};

// Where a column's values lay, and as what, before its type was changed.
struct FormerSlot {
  uint32_t slot = 0;
  DataType type;

  bool operator==(const FormerSlot&) const = default;
};

// How a column reads in rows that were written before ALTER TABLE gave it its present form.
struct OlderRows {
  std::vector<FormerSlot> former;  // newest first: what rows written before a change of its type hold
  Value missing;                   // what rows written before it was added read as

  bool operator==(const OlderRows&) const = default;
};

struct ColumnDefinition {
  std::string name;
  uint32_t ordinal = 0;  // from 1, never reused or renumbered
  DataType type;
  bool nullable = true;
  uint32_t primary_key_position = 0;  // from 1 within the key; 0 for other columns
  bool partition_key = false;
  ColumnDefault default_value;
  std::string comment;
  // Where its values lie in stored rows, and its field id in segments; 0: the ordinal. Slots are given in ascending
  // order and never again, so that a row tells by its slots which schema wrote it.
  uint32_t own_slot = 0;
  Boxed<OlderRows> older_rows;

  bool is_primary_key() const { return primary_key_position > 0; }
  uint32_t slot() const { return own_slot == 0 ? ordinal : own_slot; }
  bool is_system() const { return !name.empty() && name[0] == '_'; }
  bool operator==(const ColumnDefinition&) const = default;
};

// When to move hot rows to segments; 0 means "not by this".
struct FlushPolicy {
  uint64_t rows = 0;
  uint64_t interval_seconds = 0;
  bool operator==(const FlushPolicy&) const = default;
};

// Options of every table type; those that a type does not have keep their defaults.
struct TableOptions {
  std::string storage_id = "local";
  bool use_user_storage = false;
  std::optional<FlushPolicy> flush_policy;
  std::optional<uint64_t> deleted_retention_hours;
  AccessLevel access_level = AccessLevel::kPrivate;  // SHARED
  uint64_t max_rows_per_user = 0;                    // USER; 0: no bound
  uint32_t user_shards = 8;                          // USER: into how many shards users fall, at least 1
  bool shares_segments = false;                      // USER: a segment has the rows of a shard's users, not of one user
  uint64_t ttl_seconds = 0;                          // STREAM; 0: rows do not go by their age
  uint64_t max_stream_size_bytes = 0;                // STREAM; 0: rows do not go by their size
  std::string compression = "zstd";
  // Further options of 90-settled that are kept and shown (names in lower case).
  std::map<std::string, std::string> extra;
  bool operator==(const TableOptions&) const = default;
};

// A CHECK: every row must make it true or NULL.
struct CheckConstraint {
  std::string name;                // in lower case, unique within the table
  std::string expression;          // as written, over the table's columns
  std::vector<uint32_t> ordinals;  // of the columns that it names
  bool operator==(const CheckConstraint&) const = default;
};

struct SchemaVersion {
  uint32_t version = 1;
  int64_t created_at_us = 0;
  std::string changes;  // "CREATE TABLE", "ADD COLUMN c TEXT"
  std::vector<ColumnDefinition> columns;
  bool operator==(const SchemaVersion&) const = default;
};

// What makes a view: its columns are in TableDefinition::columns, as the SELECT gave them when it was last bound.
struct ViewDefinition {
  // A table or view that the SELECT reads: which one its name meant then, and that one's schema version.
  struct Dependency {
    std::string namespace_id;
    std::string name;
    TableId id;  // 0: a system table
    uint32_t schema_version = 0;
    bool operator==(const Dependency&) const = default;
  };
  std::string select;               // its text
  std::string namespace_id;         // for the unqualified names in it
  std::vector<std::string> output;  // the SELECT's own names of the columns, in their order
  std::vector<Dependency> tables;
  bool operator==(const ViewDefinition&) const = default;
};

// Immutable once published; shared by everyone who works on that version of the table.
struct TableDefinition {
  TableId id;
  std::string namespace_id;
  std::string name;
  TableType type = TableType::kShared;
  std::vector<ColumnDefinition> columns;  // in ordinal order, system columns included
  uint32_t schema_version = 1;
  uint32_t past_max_ordinal = 0;  // of the columns of earlier versions, which are never given again
  uint32_t past_max_slot = 0;
  std::vector<CheckConstraint> checks;
  TableOptions options;
  Boxed<ViewDefinition> view;  // kView only
  std::string comment;
  std::string created_by;
  int64_t created_at_us = 0;
  int64_t updated_at_us = 0;

  std::string qualified_name() const { return namespace_id + "." + name; }
  bool is_view() const { return type == TableType::kView; }
  // Rows belong to one user each (USER and STREAM tables).
  bool is_per_user() const { return type == TableType::kUser || type == TableType::kStream; }
  // By name in any letter case; nullptr where there is none.
  const ColumnDefinition* find_column(std::string_view column_name) const;
  // Columns of the primary key in key order. A table without one has the hidden column `_key` (BIGINT).
  std::vector<const ColumnDefinition*> primary_key() const;
  // The highest ordinal and the highest slot ever given in this table.
  uint32_t max_ordinal() const;
  uint32_t max_slot() const;
};
using TablePtr = std::shared_ptr<const TableDefinition>;

// Names of the system columns. `_key` exists only in tables that were created without PRIMARY KEY and is hidden from
// SELECT *, DESCRIBE and information_schema.
inline constexpr std::string_view kSeqColumn = "_seq";
inline constexpr std::string_view kDeletedColumn = "_deleted";
inline constexpr std::string_view kUpdatedColumn = "_updated";
inline constexpr std::string_view kHiddenKeyColumn = "_key";
// Whose row it is: the leading column of segments that users share, and of nothing else.
inline constexpr std::string_view kUserColumn = "_user_id";

// The table as such segments have it.
TablePtr with_user_column(const TableDefinition& table);

// JSON text as stored in the catalog: the definition, and the versions of the schema up to this one, oldest first,
// which are not kept in memory. decode() of encode() gives what was encoded. Errors: kCorruption.
std::string encode(const TableDefinition& table, const std::vector<SchemaVersion>& history);
Result<TableDefinition> decode_table(std::string_view json);
Result<std::vector<SchemaVersion>> decode_history(std::string_view json);

// A namespace: its name in lower case and the JSON object of its options.
struct NamespaceDefinition {
  std::string name;
  std::string options_json = "{}";
  int64_t created_at_us = 0;
};
std::string encode(const NamespaceDefinition& definition);
Result<NamespaceDefinition> decode_namespace(std::string_view json);

}  // namespace kalamdb::model
