#include "duck/instance.h"

#include <gtest/gtest.h>

#include <fstream>

#include "duck/engine_test_tables.h"
#include "duck/segment_io.h"

namespace kalamdb::duck {
namespace {

class RenewedInstanceTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto engine = *Engine::create({});
    for (int64_t i = 0; i < 4; ++i) ASSERT_EQ(table_.flush(*engine, folder_.path(), {{i, i, false}}), "");
    // Two of such small files are too much.
    const EngineOptions options{.temp_directory = folder_.path() + "/tmp", .segment_metadata_bytes = 12 << 10};
    instances_ = *RenewedInstance::open(options, std::make_shared<SegmentAccess>());
  }

  std::unique_ptr<SegmentRows> open_rows(size_t segment) {
    auto session = std::make_unique<Session>(instances_->get(), QueryContext{.timeout_ms = 0});
    return *read_segment_rows(std::move(session), table_.definition(), table_.segments()[segment]);
  }
  void read(size_t segment) {
    const auto rows = open_rows(segment);
    const auto row = rows->next();
    ASSERT_TRUE(row) << row.error().message;
    EXPECT_EQ((*row)->seq, static_cast<Seq>(segment));
  }

  TemporaryFolder folder_;
  TestTable table_{"app", "t", {{"id", "BIGINT", 1}}};
  std::unique_ptr<RenewedInstance> instances_;
};

TEST_F(RenewedInstanceTest, ManyFilesBeginAnother) {
  const std::weak_ptr<Instance> first = instances_->get();
  for (int i = 0; i < 5; ++i) read(0);
  EXPECT_EQ(instances_->get(), first.lock());
  read(1);
  const std::weak_ptr<Instance> second = instances_->get();
  EXPECT_NE(second.lock(), nullptr);
  EXPECT_TRUE(first.expired());
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/tmp/0"));
  EXPECT_TRUE(std::filesystem::exists(folder_.path() + "/tmp/1"));
  read(1);
  EXPECT_EQ(instances_->get(), second.lock());
  read(2);
  EXPECT_NE(instances_->get(), second.lock());
}

TEST_F(RenewedInstanceTest, WhoReadsGoesOnWithTheOldOne) {
  const std::weak_ptr<Instance> first = instances_->get();
  auto rows = open_rows(0);
  for (size_t segment = 1; segment < 4; ++segment) read(segment);
  EXPECT_NE(instances_->get(), first.lock());
  EXPECT_FALSE(first.expired());
  const auto row = rows->next();
  ASSERT_TRUE(row) << row.error().message;
  EXPECT_EQ((*row)->seq, 0);
  rows.reset();
  EXPECT_TRUE(first.expired());
}

TEST_F(RenewedInstanceTest, OneThatCannotBeginAnewGoesOn) {
  const auto first = instances_->get();
  std::filesystem::remove_all(folder_.path() + "/tmp");
  std::ofstream(folder_.path() + "/tmp") << "no folder can be here";
  for (size_t segment = 0; segment < 4; ++segment) read(segment);
  EXPECT_EQ(instances_->get(), first);
}

}  // namespace
}  // namespace kalamdb::duck
