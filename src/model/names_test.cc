#include "model/names.h"

#include <gtest/gtest.h>

namespace kalamdb::model {
namespace {

std::string message(const Result<>& result) { return result ? "" : result.error().message; }

TEST(NamesTest, GoodNames) {
  for (std::string_view name : {"a", "Notes", "t2", "a_b_c", "index_of"}) {
    EXPECT_EQ(message(validate_namespace_name(name)), "") << name;
    EXPECT_EQ(message(validate_table_name(name)), "") << name;
    EXPECT_EQ(message(validate_column_name(name, false)), "") << name;
  }
  EXPECT_TRUE(validate_table_name(std::string(64, 'x')));
}

TEST(NamesTest, ErrorsAreThoseThatClientsKnow) {
  EXPECT_EQ(message(validate_table_name("")), "Name cannot be empty");
  EXPECT_EQ(message(validate_table_name(std::string(65, 'x'))), "Name is too long (65 characters, max 64)");
  EXPECT_EQ(message(validate_table_name("_x")), "Name cannot start with underscore (reserved for system columns)");
  EXPECT_EQ(message(validate_table_name("1x")), "Name cannot start with a number");
  EXPECT_EQ(message(validate_table_name("a b")), "Name cannot contain spaces");
  EXPECT_EQ(message(validate_table_name("a-b")),
            "Name 'a-b' contains invalid characters (only alphanumeric and underscore allowed)");
  EXPECT_EQ(message(validate_table_name("caf\xC3\xA9")),
            "Name 'caf\xC3\xA9' contains invalid characters (only alphanumeric and underscore allowed)");
  EXPECT_EQ(message(validate_table_name("Select")), "Name 'Select' is a reserved SQL keyword and cannot be used");
  EXPECT_EQ(validate_table_name("").error().code, ErrorCode::kInvalidOperation);
}

TEST(NamesTest, ReservedNamespaces) {
  for (std::string_view name : {"system", "SYS", "root", "kalamdb", "kalam", "main", "default", "sql", "admin",
                                "internal", "information_schema", "pg_catalog", "datafusion"}) {
    EXPECT_EQ(message(validate_namespace_name(name)),
              "Namespace '" + std::string(name) + "' is reserved and cannot be used");
  }
  EXPECT_EQ(message(validate_namespace_name("table")), "Name 'table' is a reserved SQL keyword and cannot be used");
  EXPECT_TRUE(validate_table_name("system")) << "only namespaces are reserved by that name";
}

TEST(NamesTest, ReservedWords) {
  for (std::string_view word :
       {"TABLE", "TABLES", "TABLESPACE", "INDEX", "VIEW", "SCHEMA", "DATABASE", "INSERT", "UPDATE", "DELETE", "CREATE",
        "DROP", "ALTER", "select", "from", "where", "group", "order"}) {
    EXPECT_TRUE(is_reserved_word(word)) << word;
  }
  for (std::string_view word :
       {"name", "content", "channel", "body", "format", "start", "value", "key", "type", "user"}) {
    EXPECT_FALSE(is_reserved_word(word)) << word;
  }
}

TEST(NamesTest, ColumnsMayBeReservedWordsWhenQuoted) {
  EXPECT_EQ(message(validate_column_name("order", false)), "Name 'order' is a reserved SQL keyword and cannot be used");
  EXPECT_TRUE(validate_column_name("order", true));
  EXPECT_FALSE(validate_column_name("a b", true)) << "quotes do not help other names";
}

TEST(NamesTest, ReservedColumns) {
  for (std::string_view name : {"_seq", "_DELETED", "_id", "_row_id", "_rowid", "_key", "_updated", "_created",
                                "_timestamp", "_version", "_hash"}) {
    EXPECT_EQ(message(validate_column_name(name, true)),
              "Column name '" + std::string(name) + "' is reserved and cannot be used");
  }
  EXPECT_EQ(message(validate_column_name("_other", true)),
            "Name cannot start with underscore (reserved for system columns)");
}

TEST(NamesTest, DuplicateColumnsDifferInLetterCaseAtMost) {
  std::vector<ColumnDefinition> columns(3);
  columns[0].name = "Id";
  columns[1].name = "name";
  columns[2].name = "body";
  EXPECT_TRUE(validate_distinct_columns(columns));
  columns[2].name = "ID";
  EXPECT_EQ(message(validate_distinct_columns(columns)),
            "Duplicate column name 'ID'. Column names are case-insensitive.");
}

TEST(NamesTest, UserIds) {
  for (std::string_view id : {"ann", "Ann@example.com", "a.b", "user 1", "\xC3\xA9"}) {
    EXPECT_EQ(message(validate_user_id(id)), "") << id;
  }
  for (std::string_view id : {std::string_view(""), std::string_view("a..b"), std::string_view("a/b"),
                              std::string_view("a\\b"), std::string_view("a\0b", 3)}) {
    EXPECT_FALSE(validate_user_id(id)) << id;
  }
  EXPECT_TRUE(validate_user_id(std::string(128, 'x')));
  EXPECT_FALSE(validate_user_id(std::string(129, 'x')));
}

TEST(NamesTest, StorageIds) {
  EXPECT_TRUE(validate_storage_id("s3-main_2"));
  EXPECT_FALSE(validate_storage_id(""));
  EXPECT_FALSE(validate_storage_id("a/b"));
}

}  // namespace
}  // namespace kalamdb::model
