// Whose a folder is that REGISTER TABLE has taken in where it lies: `registered.json` in it names the server, from
// before the table appears until the folder is left again. So a server that was interrupted in leaving it knows whether
// another has it by now.
#pragma once

#include <optional>
#include <string>

#include "cold/backup.h"
#include "hot/store.h"
#include "platform/random.h"
#include "storage/committer.h"

namespace kalamdb::storage {

// This server's id, made when it is first needed. Errors: those of a commit.
Result<std::string> make_server_id(const hot::Store& store, Committer& committer, platform::Random& random);

enum class FolderOwner : uint8_t { kNobody, kThisServer, kAnother };
Result<FolderOwner> folder_owner(const cold::BackupPlace& place, const hot::Store& store);
// Takes a folder that is nobody's, or this server's already. kConflict: another server has it, be it since this call
// began (in a bucket; of two servers that share a disk, both might get it).
Result<> take_folder(const cold::BackupPlace& place, const hot::Store& store, const std::string& server_id);
Result<> remove_folder_owner(const cold::BackupPlace& place);

}  // namespace kalamdb::storage
