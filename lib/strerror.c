/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The errors in words. */
#include "internal.h"

const char *shunt_cid_strerror(int error)
{
	switch ((enum shunt_cid_error)error) {
	case SHUNT_CID_OK:
		return "no error";
	case SHUNT_CID_ERR_ARGUMENT:
		return "wrong argument: no pointer may be NULL, reserved fields and unknown flags are 0";
	case SHUNT_CID_ERR_CONFIG_ID:
		return "the config id is 0 to 6; 7 means no config, without server id, key or state file";
	case SHUNT_CID_ERR_SERVER_ID:
		return "the server id has 1 to 15 octets, with config id 7 none";
	case SHUNT_CID_ERR_NONCE:
		return "the nonce has 4 to 18 octets";
	case SHUNT_CID_ERR_LENGTH:
		return "a connection ID has 20 octets at most, server id and nonce 19 together; "
		       "with config id 7 it has 8 at least";
	case SHUNT_CID_ERR_WORKER:
		return "the worker has 4 octets at most; a keyed config's nonce has 4 more than it";
	case SHUNT_CID_ERR_WORKER_KEY:
		return "a worker in a clear config would link connection IDs: give worker_key to mask it";
	case SHUNT_CID_ERR_HELD:
		return "this config id is held with another meaning: retire it first, or use another id";
	case SHUNT_CID_ERR_ACTIVE:
		return "the active config cannot be retired: activate another, or config id 7, first";
	case SHUNT_CID_ERR_NOT_HELD:
		return "no config of this id: add it first";
	case SHUNT_CID_ERR_ROOM:
		return "no room for the connection ID: give SHUNT_CID_MAX_LENGTH octets";
	case SHUNT_CID_ERR_EXHAUSTED:
		return "every nonce of this config is used: activate a config with another key and id, "
		       "or config id 7 until there is one";
	case SHUNT_CID_ERR_ENTROPY:
		return "the kernel gives no random numbers";
	case SHUNT_CID_ERR_MEMORY:
		return "out of memory";
	case SHUNT_CID_ERR_FORKED:
		return "opened before fork(): of no use in the child, which would repeat nonces; open it there";
	case SHUNT_CID_ERR_STATE_CLEAR:
		return "a clear config counts no nonces: it takes no state file";
	case SHUNT_CID_ERR_STATE_OPEN:
		return "the state file cannot be opened or read";
	case SHUNT_CID_ERR_STATE_BUSY:
		return "another process uses the state file: give each its own, and its own worker";
	case SHUNT_CID_ERR_STATE_DAMAGED:
		return "the state file is damaged or is something else: rotate to a config with another "
		       "key before removing it";
	case SHUNT_CID_ERR_STATE_OTHER:
		return "the state file belongs to another key or nonce length: give each config its own";
	case SHUNT_CID_ERR_STATE_WRITE:
		return "the state file cannot be written; nothing is issued that it does not know";
	case SHUNT_CID_ERR_KEY_OPEN:
		return "the key file cannot be opened or read";
	case SHUNT_CID_ERR_KEY_EXPOSED:
		return "others than its owner can read the key file: chmod 600";
	case SHUNT_CID_ERR_KEY_OWNER:
		return "the key file belongs to a user who is neither root nor the server's";
	case SHUNT_CID_ERR_KEY_FORM:
		return "the key file holds neither 16 octets nor 32 hexadecimal digits, or is cut off";
	}
	return "unknown error";
}
