package kfsim

import (
	"net/http"
	"strconv"
	"time"
)

// serve lets the blow fall on the exchange, and the call happen before, after or not at all.
func (x *exchange) serve(b blow) {
	for _, d := range b.waits {
		if x.s.wait(x.r.http.Context(), d) != nil {
			x.undone("the simulator was closed")
			x.cut()
			return
		}
	}
	switch f := b.fault; f.Kind {
	case FaultResetBefore:
		x.undone("fault")
		x.cut()
	case FaultHTTP500Before:
		x.undone("fault")
		x.writeStatus(f)
	case FaultGarbageBefore:
		x.undone("fault")
		x.writeGarbage(f)
	case FaultRedirect:
		x.undone("fault")
		x.redirect(f)
	case FaultErrCode:
		x.r.entry.ErrCode = f.ErrCode
		x.undone("fault")
		x.write(refuse(f.ErrCode, "a fault of the simulator"))
	case FaultBlockMinute, FaultBlockHour:
		x.s.block(x.r, blockSpan(f.Kind))
		x.write(x.perform(false))
	case FaultRevokeToken:
		x.s.revoke(x.r.query.Get("access_token"))
		x.write(x.perform(false))
	case FaultLateEffect:
		x.s.called(x.r.entry.Path) // before, so that a seed repeats the order
		x.s.later(x.r.http.Context(), f.Delay, func() { x.perform(true) })
		x.cut()
	case FaultResetAfter:
		x.perform(false)
		x.cut()
	case FaultHTTP500After:
		x.perform(false)
		x.writeStatus(f)
	case FaultGarbageAfter:
		x.perform(false)
		x.writeGarbage(f)
	case FaultCutAfter:
		x.writeHalf(x.perform(false))
	case FaultAcceptThenHang:
		x.perform(false)
		x.hang(f.Delay)
	default: // none, or one that bends the page
		x.r.twist = f.Kind
		x.write(x.perform(false))
	}
}

// undone journals a call that the platform never got to decide.
func (x *exchange) undone(why string) {
	x.r.entry.Reason = why
	x.s.journal.add(x.r.entry)
	x.s.called(x.r.entry.Path)
}

func (x *exchange) writeStatus(f Fault) {
	status := f.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	x.w.Header().Set("Content-Type", "text/html")
	x.w.WriteHeader(status)
	_, _ = x.w.Write([]byte("<html><body>" + strconv.Itoa(status) + " " + http.StatusText(status) + "</body></html>"))
}

func (x *exchange) writeGarbage(f Fault) {
	body := f.Body
	if body == "" {
		body = `{"errcode":0,"errm`
	}
	x.w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_, _ = x.w.Write([]byte(body))
}

func (x *exchange) redirect(f Fault) {
	or(&f.Status, http.StatusFound)
	or(&f.Location, "http://redirect.invalid/")
	x.w.Header().Set("Location", f.Location)
	x.w.WriteHeader(f.Status)
}

// writeHalf promises the whole answer, sends half of it and cuts the connection.
func (x *exchange) writeHalf(a answer) {
	body, status := x.encode(a)
	x.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body[:len(body)/2])
	_ = http.NewResponseController(x.w).Flush()
	x.cut()
}

// block closes the call's path for its corp, as if the limit of the span had just been broken.
func (s *Sim) block(r *request, span time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.query.Get("corpid")
	if t := s.st.tokens[r.query.Get("access_token")]; t != nil {
		key = t.corp.CorpID
	}
	s.st.limits.block(limitSpan(span)+r.entry.Path+" corp "+key, s.clock.Now(), span)
}
