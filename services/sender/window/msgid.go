package window

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
)

// MsgID is the msgid of a command: 32 characters of [0-9a-zA-Z_-], the same for every attempt, replica and restart.
// The platform refuses a msgid it has seen on the account, which is what makes a repeated POST harmless.
//
// It is part of the contract, so that a team can know the msgid before it publishes:
//
//	base64url(sha256(len(conversation) + ":" + conversation + len(team) + ":" + team + commandID))[:32]
//
// where conversation is <corp>.<open_kfid>.<external_userid> and team the team, both as tokens, and len counts bytes in
// decimal. The lengths keep ("a", "bc") and ("ab", "c") apart whatever bytes the names hold. The conversation is part of
// it because what is known of a command is kept by conversation: with one msgid for two customers, the refusal of the
// second would be taken for proof that the first attempt reached them.
//
// https://developer.work.weixin.qq.com/document/path/94677
func MsgID(conversation, team, commandID string) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(len(conversation)) + ":" + conversation + strconv.Itoa(len(team)) + ":" + team + commandID))
	return base64.RawURLEncoding.EncodeToString(sum[:24]) // 24 bytes are 32 characters
}
