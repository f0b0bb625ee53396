/* The folder that checkpoints lie in: "latest" names the newest of its files step-N.onnx. */
#ifndef OT_TRAIN_CHECKPOINT_FOLDER_H
#define OT_TRAIN_CHECKPOINT_FOLDER_H

#include "train/trainer.h"

/* "folder/name", ot_free it; NULL when memory ran out. */
char *ot_path_join(const char *folder, const char *name);
/* The path of the checkpoint that folder/latest names; ot_free it.  OT_EIO: there is none; OT_EMODEL: a name that is no
 * checkpoint's. */
ot_status ot_checkpoint_latest(char **path, const char *folder);
/* Takes over the path of a checkpoint that was just saved, and removes the one before the last. */
void ot_checkpoint_forget(ot_trainer *t, char *saved);
/* Removes what a killed run left: unfinished files and checkpoints other than `latest`. */
void ot_checkpoint_tidy(const char *folder, const char *latest);

#endif
