// For tests: a database with the real engine and real Parquet files.
#pragma once

#include <memory>
#include <string>

#include "storage/test_database.h"

namespace kalamdb::storage {

class RealEngineTest : public DatabaseTest {
 protected:
  duck::Engine& engine() override {
    if (real_ == nullptr) {
      duck::EngineOptions options;
      options.threads = 4;  // so that order is not kept by chance
      options.temp_directory = testing::TempDir() + "/real_engine_test." + std::to_string(getpid());
      auto created = duck::Engine::create(options);
      if (!created) ADD_FAILURE() << created.error().message;
      real_ = *std::move(created);
    }
    return *real_;
  }
  void TearDown() override {
    DatabaseTest::TearDown();
    std::filesystem::remove_all(testing::TempDir() + "/real_engine_test." + std::to_string(getpid()));
  }

  std::unique_ptr<duck::Engine> real_;
};

}  // namespace kalamdb::storage
