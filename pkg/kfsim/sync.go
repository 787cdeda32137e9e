package kfsim

import (
	"bytes"
	"crypto/hmac"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"time"
)

// syncMsg: https://developer.work.weixin.qq.com/document/path/94670
func (r *request) syncMsg() answer {
	var req struct {
		Cursor      string `json:"cursor"`
		Token       string `json:"token"`
		Limit       uint32 `json:"limit"`
		VoiceFormat uint32 `json:"voice_format"`
		OpenKfID    string `json:"open_kfid"`
	}
	if a, good := r.decode(&req); !good {
		return a
	}
	var acc *account
	log := &r.corp.log
	if req.OpenKfID != "" || !r.sim.p.OptionalOpenKfID {
		var a answer
		if acc, a = r.account(req.OpenKfID); a.code != 0 {
			return a
		}
		log = &acc.log
	}
	switch {
	case acc != nil && acc.NoHistory:
		return refuse(95032, "the component's right to the history is void")
	case req.Limit > maxPage:
		return refuse(40058, "limit is larger than 1000")
	case req.VoiceFormat > 1:
		return refuse(40058, "voice_format is neither 0 nor 1")
	}
	if a := r.checkSyncToken(acc, log, req.Token); a.code != 0 {
		return a
	}
	r.intrude(acc)
	return r.page(log, req.Cursor, int(req.Limit))
}

// checkSyncToken accepts a living token of this account, or none within the strict budget.
func (r *request) checkSyncToken(acc *account, log *itemLog, token string) answer {
	if token == "" {
		if !r.st.limits.allow("tokenless "+log.scope, r.now, r.sim.p.TokenlessPerMinute, time.Minute) {
			return refuse(45009, "too many calls without token")
		}
		return answer{}
	}
	accounts := r.corp.accounts
	if acc != nil && !r.sim.p.CorpSyncTokens {
		accounts = []*account{acc}
	}
	for _, a := range accounts {
		if expires, given := a.syncTokens[token]; given && r.now.Before(expires) {
			return answer{}
		}
	}
	return refuse(95007, "the token is unknown here, of another account, or has expired")
}

// page cuts the next page out of a history.
func (r *request) page(log *itemLog, cursor string, limit int) answer {
	p := r.sim.p
	log.trimTo(r.now)
	from, known := log.trim, true
	if cursor != "" {
		from, known = r.st.readCursor(log, cursor)
		from = max(from, log.trim)
	}
	if !known {
		return refuse(p.UnknownCursorCode, "the cursor was not given out for this account")
	}
	if limit == 0 {
		limit = maxPage
	}
	to := min(from+min(limit, p.PageCap), len(log.items))
	more := to < len(log.items)
	log.pulls++
	if p.EmptyPageEvery > 0 && log.pulls%p.EmptyPageEvery == 0 {
		to, more = from, true
	}
	to, more = r.twistPage(from, to, more)
	next, goOn := cursor, to
	switch {
	case r.twist == FaultNoCursor:
		next = ""
	case r.twist == FaultSameCursor && cursor != "":
		goOn = from
	case r.twist == FaultSameCursor:
		goOn, next = from, r.st.cursor(log, from, 0)
	case r.twist == FaultDuplicateItem && to > from:
		goOn, next = to-1, r.st.cursor(log, to-1, 0)
	case to > from || cursor == "":
		next = r.st.cursor(log, to, 0)
	case !more && p.IdleCursor == IdleFresh:
		next = r.st.cursor(log, to, uint32(log.pulls))
	case !more && p.IdleCursor == IdleEmpty:
		next = ""
	}
	served := log.items[from:to]
	for _, it := range served {
		it.served = true
		r.entry.Items = append(r.entry.Items, it.id)
	}
	if p.PageNewestFirst {
		served = slices.Clone(served)
		slices.Reverse(served)
		slices.Reverse(r.entry.Items)
	}
	r.entry.From, r.entry.Next, r.entry.HasMore = from, goOn, more
	return answer{fields: pageJSON(served, next, more)}
}

// pageJSON puts the items' bytes into a page as they are.
func pageJSON(items []*item, next string, more bool) []byte {
	size := 100
	for _, it := range items {
		size += len(it.raw) + 1
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	b.WriteString(`{"next_cursor":`)
	b.Write(marshal(next))
	b.WriteString(`,"has_more":`)
	if more {
		b.WriteString("1")
	} else {
		b.WriteString("0")
	}
	b.WriteString(`,"msg_list":[`)
	for i, it := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(it.raw)
	}
	b.WriteString("]}")
	return b.Bytes()
}

const cursorMAC = 12 // bytes

// cursor seals a position. It is opaque, bound to the history and to the seed, and 32 characters
// long; salt makes another cursor of the same place.
func (st *state) cursor(log *itemLog, position int, salt uint32) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(position))
	b = binary.BigEndian.AppendUint32(b, salt)
	mac := st.ids.mac("cursor", log.scope, string(b))[:cursorMAC]
	subtle.XORBytes(b, b, st.ids.mac("cursor mask", log.scope, string(mac)))
	return base64.RawURLEncoding.EncodeToString(append(mac, b...))
}

// readCursor returns the position that a cursor of this history stands for.
func (st *state) readCursor(log *itemLog, cursor string) (position int, known bool) {
	position, known = st.readPosition(log.scope, cursor)
	return position, known && position <= len(log.items)
}

// readPosition opens what cursor sealed for a list of this scope.
func (st *state) readPosition(scope, cursor string) (position int, known bool) {
	all, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(all) != cursorMAC+12 {
		return 0, false
	}
	mac, b := all[:cursorMAC], all[cursorMAC:]
	subtle.XORBytes(b, b, st.ids.mac("cursor mask", scope, string(mac)))
	if !hmac.Equal(mac, st.ids.mac("cursor", scope, string(b))[:cursorMAC]) {
		return 0, false
	}
	return int(binary.BigEndian.Uint64(b)), true
}

// ExpireSyncTokens makes all sync tokens of an account invalid now, and returns how many were valid.
func (s *Sim) ExpireSyncTokens(openKfID string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.st.account(openKfID)
	if err != nil {
		return 0, err
	}
	n, now := 0, s.clock.Now()
	for _, expires := range a.syncTokens {
		if now.Before(expires) {
			n++
		}
	}
	clear(a.syncTokens)
	a.syncQueue = nil
	s.journal.add(Entry{Kind: KindToken, CorpID: a.CorpID, OpenKfID: openKfID, Reason: "sync tokens expired", Count: n})
	return n, nil
}

// syncToken makes the token of one callback, and forgets those that have expired.
func (s *Sim) syncToken(a *account) string {
	now := s.clock.Now()
	for len(a.syncQueue) > 0 && !now.Before(a.syncTokens[a.syncQueue[0]]) {
		delete(a.syncTokens, a.syncQueue[0])
		a.syncQueue = a.syncQueue[1:]
	}
	token := s.st.ids.opaque("ENC", "sync token", 61)
	a.syncTokens[token] = now.Add(s.p.SyncTokenTTL)
	a.syncQueue = append(a.syncQueue, token)
	return token
}
