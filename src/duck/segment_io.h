// Writing segments, and finding rows in them by key. For the other files of this folder only.
#pragma once

#include "duck/session.h"

namespace kalamdb::duck {

// See Engine::write_segment().
Result<WrittenSegment> write_segment_file(Session& session, const std::string& path, const model::TablePtr& table,
                                          model::RowCursor& rows,
                                          const std::vector<std::pair<std::string, std::string>>& metadata);

// See Engine::find_in_segments().
Result<std::vector<SegmentRow>> find_segment_rows(Session& session, const model::TablePtr& table,
                                                  std::span<const Segment> segments, std::span<const std::string> keys);

// See Engine::read_segment().
Result<std::unique_ptr<SegmentRows>> read_segment_rows(std::unique_ptr<Session> session, const model::TablePtr& table,
                                                       const Segment& segment);

}  // namespace kalamdb::duck
