#include "catalog/registry.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "catalog/catalog.h"
#include "storage/test_database.h"

namespace kalamdb::catalog {
namespace {

// A store in which something happens right after a record was read, as a commit of another thread may.
class InterruptedStore : public hot::Store {
 public:
  explicit InterruptedStore(hot::Store& store) : store_(store) {}
  mutable std::function<void()> after_get;  // once

  Result<std::optional<std::string>> get_record(hot::RecordSpace space, std::string_view key,
                                                const hot::SnapshotPtr& snapshot) const override {
    auto record = store_.get_record(space, key, snapshot);
    if (const auto interrupt = std::exchange(after_get, nullptr)) interrupt();
    return record;
  }
  Result<> scan_records(hot::RecordSpace space, std::string_view prefix, const hot::SnapshotPtr& snapshot,
                        const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    return store_.scan_records(space, prefix, snapshot, visit);
  }

  // Not used by the registry.
  hot::SnapshotPtr snapshot() const override { return store_.snapshot(); }
  std::optional<Seq> oldest_snapshot() const override { return store_.oldest_snapshot(); }
  void set_snapshot_listener(std::function<void()> released) override {
    store_.set_snapshot_listener(std::move(released));
  }
  Result<std::optional<hot::StoredRow>> get(TableId table, const UserId& user, std::string_view key,
                                            const hot::SnapshotPtr& snapshot) const override {
    return store_.get(table, user, key, snapshot);
  }
  std::unique_ptr<model::RowCursor> scan(TableId table, const UserId& user, std::string_view begin,
                                         std::string_view end, bool with_tombstones,
                                         const hot::SnapshotPtr& snapshot) const override {
    return store_.scan(table, user, begin, end, with_tombstones, snapshot);
  }
  std::unique_ptr<model::RowCursor> scan_changes(TableId table, const UserId& user, Seq after,
                                                 const hot::SnapshotPtr& snapshot) const override {
    return store_.scan_changes(table, user, after, snapshot);
  }
  Result<std::vector<Seq>> change_seqs(TableId table, const UserId& user,
                                       const hot::SnapshotPtr& snapshot) const override {
    return store_.change_seqs(table, user, snapshot);
  }
  uint64_t estimate_rows(TableId table, const UserId* user) const override { return store_.estimate_rows(table, user); }
  Result<std::vector<UserId>> users(TableId table, const hot::SnapshotPtr& snapshot) const override {
    return store_.users(table, snapshot);
  }
  void note_erased(uint64_t rows) override { store_.note_erased(rows); }
  std::unique_ptr<hot::Batch> new_batch() const override { return store_.new_batch(); }
  Result<> write(hot::Batch& batch, Seq last_seq, hot::Sync sync) override {
    return store_.write(batch, last_seq, sync);
  }
  Seq last_seq() const override { return store_.last_seq(); }

 private:
  hot::Store& store_;
};

class RegistryTest : public storage::DatabaseTest {
 protected:
  // Makes the next version of a table, or its first, the newest in the store, as a commit does.
  model::TablePtr store(const std::string& name, uint32_t version = 1) {
    auto table = std::make_shared<model::TableDefinition>(*storage::test_table(100, model::TableType::kShared, name));
    table->schema_version = version;
    create(table);
    return table;
  }
  void remove(const model::TableDefinition& table) {
    storage::CommitRequest request;
    request.records.push_back({hot::RecordSpace::kTable, table.qualified_name(), std::nullopt, std::nullopt});
    const auto done = database_->committer().commit(std::move(request));
    ASSERT_TRUE(done) << done.error().message;
  }
  // The version that `registry` knows; 0: there is no such table.
  static uint32_t version(Registry& registry, const std::string& name) {
    const auto found = registry.find("app", name);
    EXPECT_TRUE(found) << found.error().message;
    return *found == nullptr ? 0 : (*found)->schema_version;
  }
};

TEST_F(RegistryTest, LoadsWhatIsAskedForAndKeepsIt) {
  store("t1");
  Registry registry(database_->hot(), 10);
  EXPECT_EQ(version(registry, "t1"), 1);
  EXPECT_EQ(version(registry, "t1"), 1);
  EXPECT_EQ(version(registry, "none"), 0);
  const auto counters = registry.counters();
  EXPECT_EQ(counters.hits, 1);
  EXPECT_EQ(counters.misses, 2);
  EXPECT_EQ(counters.evictions, 0);
  EXPECT_EQ(counters.size, 1);
}

TEST_F(RegistryTest, WarmReadsNothingLater) {
  for (int i = 0; i < 20; ++i) store("t" + std::to_string(i));
  Registry registry(database_->hot(), 100);
  ASSERT_TRUE(registry.warm());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(version(registry, "t" + std::to_string(i)), 1);
  EXPECT_EQ(registry.counters().misses, 0);
  EXPECT_EQ(registry.counters().hits, 20);

  Registry small(database_->hot(), 7);
  ASSERT_TRUE(small.warm());
  EXPECT_EQ(small.counters().size, 7);
  EXPECT_EQ(small.counters().evictions, 0);
}

TEST_F(RegistryTest, KeepsWhatIsUsedAndDropsWhatIsNot) {
  for (int i = 0; i < 40; ++i) store("t" + std::to_string(i));
  Registry registry(database_->hot(), 10);
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(version(registry, "t" + std::to_string(i)), 1);
    EXPECT_EQ(version(registry, "t" + std::to_string(5 + round % 35)), 1);
    EXPECT_LE(registry.counters().size, 10);
  }
  const auto counters = registry.counters();
  EXPECT_EQ(counters.hits + counters.misses, 50 * 6);
  // The first time round, when everything is equally new, one that every round uses may go.
  EXPECT_LE(counters.misses, 5 + 50 + 1);
  EXPECT_EQ(counters.evictions, counters.misses - counters.size);
}

TEST_F(RegistryTest, OneEntryIsEnough) {
  store("t1");
  store("t2");
  Registry registry(database_->hot(), 1);
  for (int round = 0; round < 10; ++round) {
    EXPECT_EQ(version(registry, "t1"), 1);
    EXPECT_EQ(version(registry, "t2"), 1);
    EXPECT_EQ(registry.counters().size, 1);
  }
}

TEST_F(RegistryTest, PutAndEraseAreSeenAtOnce) {
  Registry registry(database_->hot(), 10);
  registry.put(store("t1"));
  EXPECT_EQ(version(registry, "t1"), 1);
  const auto second = store("t1", 2);
  registry.put(second);
  EXPECT_EQ(version(registry, "t1"), 2);
  EXPECT_EQ(registry.counters().size, 1);
  remove(*second);
  registry.erase("app", "t1");
  EXPECT_EQ(version(registry, "t1"), 0);
  EXPECT_EQ(registry.counters().size, 0);
}

TEST_F(RegistryTest, ListsOneNamespaceWhetherInMemoryOrNot) {
  for (int i = 0; i < 5; ++i) store("t" + std::to_string(i));
  auto other = std::make_shared<model::TableDefinition>(*storage::test_table(200, model::TableType::kShared, "t9"));
  other->namespace_id = "apple";  // its name begins with the other's
  create(other);
  Registry registry(database_->hot(), 2);
  ASSERT_TRUE(registry.warm());
  const auto names = [&](std::string_view namespace_id) {
    std::string out;
    const auto tables = registry.list(namespace_id);
    EXPECT_TRUE(tables);
    for (const auto& table : *tables) out += table->qualified_name() + " ";
    return out;
  };
  EXPECT_EQ(names("app"), "app.events app.messages app.notes app.t0 app.t1 app.t2 app.t3 app.t4 ");
  EXPECT_EQ(names("apple"), "apple.t9 ");
  EXPECT_EQ(names("ap"), "");
  EXPECT_EQ(names(""), names("app") + names("apple"));
  EXPECT_EQ(registry.counters().misses, 0);
}

TEST_F(RegistryTest, DamagedDefinitionIsAnError) {
  storage::CommitRequest request;
  request.records.push_back({hot::RecordSpace::kTable, "app.bad", "{\"id\":", std::nullopt});
  ASSERT_TRUE(database_->committer().commit(std::move(request)));
  Registry registry(database_->hot(), 2);
  const auto found = registry.find("app", "bad");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kCorruption);
  EXPECT_FALSE(registry.list("app"));
}

TEST_F(RegistryTest, WhatWasReadBeforeAChangeIsNotKept) {
  store("t");
  InterruptedStore interrupted(database_->hot());
  Registry registry(interrupted, 10);
  interrupted.after_get = [&] { registry.put(store("t", 2)); };
  EXPECT_EQ(version(registry, "t"), 1) << "it was asked for before the change";
  EXPECT_EQ(version(registry, "t"), 2);

  store("gone");
  interrupted.after_get = [&] {
    remove(*storage::test_table(100, model::TableType::kShared, "gone"));
    registry.erase("app", "gone");
  };
  EXPECT_EQ(version(registry, "gone"), 1);
  EXPECT_EQ(version(registry, "gone"), 0);
}

// Whoever asks after a change was acknowledged never gets what there was before, however small the cache is.
TEST_F(RegistryTest, StaleDefinitionIsNeverServed) {
  constexpr uint32_t kVersions = 400;
  store("other1");
  store("other2");
  Registry registry(database_->hot(), 1);  // so that nearly every look-up loads
  std::atomic<uint32_t> acknowledged = 0;
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> stale = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const uint32_t before = acknowledged;
        if (version(registry, "t") < before) ++stale;
        version(registry, "other1");
        version(registry, "other2");
      }
    });
  }
  for (uint32_t next = 1; next <= kVersions; ++next) {
    registry.put(store("t", next));
    acknowledged = next;
  }
  stop = true;
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(stale, 0);
  EXPECT_EQ(version(registry, "t"), kVersions);
}

class CatalogTest : public RegistryTest {
 protected:
  void SetUp() override {
    RegistryTest::SetUp();
    database_->add_listener([this](const storage::ChangeSetPtr& changes) {
      const std::lock_guard lock(listener_mutex_);
      if (listener_) listener_(*changes);
    });
    auto opened = Catalog::open(*database_, clock_, 3);
    ASSERT_TRUE(opened) << opened.error().message;
    catalog_ = *std::move(opened);
  }
  void TearDown() override {
    catalog_.reset();
    RegistryTest::TearDown();
  }
  Result<model::TablePtr> create_table(const std::string& namespace_id, const std::string& name) {
    model::TableDefinition draft = *storage::test_table(0, model::TableType::kShared, name);
    draft.namespace_id = namespace_id;
    return catalog_->create_table(std::move(draft));
  }

  // Hears of what is committed from here on.
  void listen(std::function<void(const storage::ChangeSet&)> listener) {
    wait_until_published();
    const std::lock_guard lock(listener_mutex_);
    listener_ = std::move(listener);
  }

  std::unique_ptr<Catalog> catalog_;
  std::mutex listener_mutex_;
  std::function<void(const storage::ChangeSet&)> listener_;
};

TEST_F(CatalogTest, NamesAreTakenAlsoWhenTheirTableIsNotInMemory) {
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(create_table("default", "t" + std::to_string(i)));
  EXPECT_EQ(catalog_->schema_cache_counters().size, 3);
  for (int i = 0; i < 10; ++i) {
    const auto again = create_table("default", "t" + std::to_string(i));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  }
}

// Or who is told by a live query of system.tables might not find it.
TEST_F(CatalogTest, WhatIsNewIsThereBeforeListenersHearOfIt) {
  std::vector<std::string> heard;
  listen([&](const storage::ChangeSet& changes) {
    for (const auto& change : changes.records) {
      heard.push_back(change.key);
      const bool expected = change.now.has_value();
      if (change.space == hot::RecordSpace::kNamespace) {
        EXPECT_EQ(catalog_->has_namespace(change.key), expected) << change.key;
      } else if (change.space == hot::RecordSpace::kTable) {
        const size_t dot = change.key.find('.');
        const auto table = catalog_->find_table(change.key.substr(0, dot), change.key.substr(dot + 1));
        EXPECT_EQ(*table != nullptr, expected) << change.key;
      } else if (change.space == hot::RecordSpace::kUser) {
        EXPECT_EQ(catalog_->find_user(change.key) != nullptr, expected) << change.key;
      } else if (change.space == hot::RecordSpace::kStorage) {
        EXPECT_EQ(database_->storages().find(change.key) != nullptr, expected) << change.key;
      }
    }
  });
  ASSERT_TRUE(catalog_->create_namespace("big"));
  ASSERT_TRUE(create_table("big", "t"));
  model::TableDefinition view = *storage::test_table(0, model::TableType::kView, "v");
  view.namespace_id = "big";
  view.view = model::ViewDefinition{.tables = {{"big", "t"}}};
  ASSERT_TRUE(catalog_->create_view(std::move(view), /*or_replace=*/false));
  ASSERT_TRUE(catalog_->drop_view("big", "v"));
  User user;
  user.id = "ann";
  ASSERT_TRUE(catalog_->create_user(std::move(user)));
  ASSERT_TRUE(catalog_->change_user("ann", [](User& ann) { ann.deleted_at_us = 1; }));
  ASSERT_TRUE(catalog_->remove_user("ann"));
  ASSERT_TRUE(catalog_->create_storage({.id = "shelf", .name = "shelf", .base = directory_ + "/shelf"}));
  ASSERT_TRUE(catalog_->drop_storage("shelf"));
  auto restored = std::make_shared<model::TableDefinition>(*storage::test_table(99, model::TableType::kShared, "r"));
  restored->namespace_id = "restored";
  ASSERT_TRUE(catalog_->add_restored({{.name = "restored"}}, {{restored, {}}}, {}));
  wait_until_published();
  EXPECT_EQ(heard, (std::vector<std::string>{"big", "big.t", "big.v", "big.v", "ann", "ann", "ann", "shelf", "shelf",
                                             "restored", "restored.r"}));
}

// Or who looks a table up while it is dropped might never be told that it is gone.
TEST_F(CatalogTest, TablesAreGoneBeforeListenersHearOfIt) {
  ASSERT_TRUE(catalog_->create_namespace("big"));
  for (const char* name : {"dropped", "unregistered"}) ASSERT_TRUE(create_table("default", name));
  ASSERT_TRUE(create_table("big", "with_its_namespace"));
  std::vector<bool> was_there;
  listen([&](const storage::ChangeSet& changes) {
    for (const auto& change : changes.table_changes) {
      EXPECT_EQ(change.schema_version, 0U);
      was_there.push_back(*catalog_->find_table("default", "dropped") != nullptr);
      was_there.push_back(*catalog_->find_table("default", "unregistered") != nullptr);
      was_there.push_back(*catalog_->find_table("big", "with_its_namespace") != nullptr);
    }
  });
  ASSERT_TRUE(catalog_->drop_table("default", "dropped"));
  ASSERT_TRUE(catalog_->unregister_table(*catalog_->find_table("default", "unregistered")));
  ASSERT_TRUE(catalog_->drop_namespace("big"));
  wait_until_published();
  EXPECT_EQ(was_there, (std::vector<bool>{false, true, true, false, false, true, false, false, false}));
}

TEST_F(CatalogTest, DroppingANamespaceDropsTablesThatAreNotInMemory) {
  ASSERT_TRUE(catalog_->create_namespace("big"));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(create_table("big", "t" + std::to_string(i)));
  const uint64_t version = catalog_->version();
  const auto dropped = catalog_->drop_namespace("big");
  ASSERT_TRUE(dropped);
  EXPECT_EQ(dropped->size(), 10);
  EXPECT_GT(catalog_->version(), version);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(*catalog_->find_table("big", "t" + std::to_string(i)), nullptr);
  EXPECT_TRUE(catalog_->tables("big")->empty());
}

}  // namespace
}  // namespace kalamdb::catalog
