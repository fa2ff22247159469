#include "live/group_index.h"

#include <gtest/gtest.h>

#include <set>

#include "model/row_codec.h"

namespace kalamdb::live {
namespace {

model::TablePtr make_table() {
  auto table = std::make_shared<model::TableDefinition>();
  table->columns = {{.name = "id", .ordinal = 1, .type = {.tag = model::TypeTag::kInt}, .primary_key_position = 1},
                    {.name = "room", .ordinal = 2, .type = {.tag = model::TypeTag::kText}}};
  return table;
}

const model::TablePtr kTable = make_table();

class TestGroup final : public Group {
 public:
  TestGroup() : Group({}) {}
  TestGroup(size_t column, model::Value value) : Group({}) { set(column, std::move(value)); }
  void set(size_t column, model::Value value) {
    equality_ = duck::Predicate::Equality{&kTable->columns[column], std::move(value)};
  }

  std::span<const protocol::Field> fields() const override { return {}; }
  void change(const storage::ChangeSetPtr&, const storage::RowChange&, std::vector<GroupMessage>&) override {}
  Result<bool> alter(const model::TablePtr&) override { return false; }
  const duck::Predicate::Equality* equality() const override { return equality_ ? &*equality_ : nullptr; }

 private:
  std::optional<duck::Predicate::Equality> equality_;
};

std::string row(int64_t id, model::Value room) { return model::encode_row(*kTable, {id, std::move(room)}); }

std::set<Group*> find(const GroupIndex& index, const std::string& before, const std::string& now) {
  storage::RowChange change{.table = kTable, .user = {}};
  change.kind = before.empty() ? storage::ChangeKind::kInsert
                : now.empty()  ? storage::ChangeKind::kDelete
                               : storage::ChangeKind::kUpdate;
  change.old_row = before;
  change.row = now;
  std::vector<Group*> groups;
  index.find(change, groups);
  std::set<Group*> found(groups.begin(), groups.end());
  EXPECT_EQ(found.size(), groups.size()) << "each once";
  return found;
}

using Groups = std::set<Group*>;

TEST(GroupIndex, FindsByTheOldAndTheNewValueAndThoseWithoutAny) {
  TestGroup all;
  TestGroup lobby(1, std::string("lobby"));
  TestGroup lobby_too(1, std::string("lobby"));
  TestGroup attic(1, std::string("attic"));
  TestGroup seven(0, int64_t{7});
  GroupIndex index;
  for (Group* group : {&all, &lobby, &lobby_too, &attic, &seven}) index.add(group);
  const std::string in_lobby = row(1, std::string("lobby"));
  const std::string in_attic = row(7, std::string("attic"));
  EXPECT_EQ(find(index, "", in_lobby), (Groups{&all, &lobby, &lobby_too}));
  EXPECT_EQ(find(index, in_attic, ""), (Groups{&all, &attic, &seven}));
  EXPECT_EQ(find(index, in_attic, in_lobby), (Groups{&all, &attic, &seven, &lobby, &lobby_too}));
  EXPECT_EQ(find(index, in_lobby, in_lobby), (Groups{&all, &lobby, &lobby_too}));
  EXPECT_EQ(find(index, "", row(1, model::Null())), Groups{&all});
  EXPECT_EQ(find(index, "", row(2, std::string("cellar"))), Groups{&all});
}

TEST(GroupIndex, ForgetsAndFilesAnew) {
  TestGroup group(1, std::string("lobby"));
  GroupIndex index;
  index.add(&group);
  index.remove(&group);
  EXPECT_EQ(find(index, "", row(1, std::string("lobby"))), Groups{});
  group.set(0, int64_t{1});
  index.add(&group);
  EXPECT_EQ(find(index, "", row(1, model::Null())), Groups{&group});
  EXPECT_EQ(find(index, "", row(2, std::string("lobby"))), Groups{});
}

TEST(GroupIndex, ARowThatCannotBeReadMayConcernAnyOfThem) {
  TestGroup lobby(1, std::string("lobby"));
  TestGroup attic(1, std::string("attic"));
  GroupIndex index;
  index.add(&lobby);
  index.add(&attic);
  EXPECT_EQ(find(index, "", "not a row"), (Groups{&lobby, &attic}));
}

}  // namespace
}  // namespace kalamdb::live
