// The one thread through which every change goes: validate, assign `_seq`, write, sync once for all that queued,
// answer, publish. docs/ARCHITECTURE.md "The write path".
#pragma once

#include <functional>
#include <memory>

#include "platform/id_generator.h"
#include "storage/commit.h"

namespace kalamdb::storage {

enum class Durability : uint8_t {
  kFsync,  // an answer means that the change is on the disk
  kOs,     // an answer means that the operating system has it
};

// Called on the committer's thread, in commit order, once for each commit that changed something; must be quick.
using ChangeListener = std::function<void(const ChangeSetPtr&)>;
using CommitCallback = std::function<void(Result<ChangeSetPtr>)>;

// Thread-safe.
class Committer {
 public:
  virtual ~Committer() = default;
  // Queues a commit; `done` is called on the committer's thread, before the change is published, and must be quick.
  // Errors: kConflict (something read has changed: run again), kAlreadyExists (a primary key is taken), kUnavailable
  // (the log failed or the server stops), kIo (disk full; nothing was written, later commits may succeed).
  virtual void submit(CommitRequest request, CommitCallback done) = 0;
  // The same, waiting for it. Not on an IO thread.
  virtual Result<ChangeSetPtr> commit(CommitRequest request) = 0;
};

}  // namespace kalamdb::storage
