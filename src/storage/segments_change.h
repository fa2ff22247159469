// A change of segments as the committer sees it: prepared on another thread, finished and written on the committer's.
#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "hot/store.h"

namespace kalamdb::storage {

class SegmentsChange {
 public:
  virtual ~SegmentsChange() = default;
  // What it was prepared from: a table, whose schema must still be the same, at a snapshot since which the table was
  // not emptied.
  virtual TableId table() const = 0;
  virtual uint32_t schema_version() const = 0;
  virtual Seq snapshot_seq() const = 0;
  // Called on the committer's thread, alone in its batch, with nothing else writing: checks that what it was prepared
  // from still holds (else kConflict) and adds its writes to `batch`. Must be quick.
  virtual Result<> apply(const hot::Store& store, hot::Batch& batch) = 0;
  // Whether it changes how many live rows there are.
  virtual bool changes_row_counts() const { return false; }
};

}  // namespace kalamdb::storage
