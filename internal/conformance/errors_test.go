package conformance

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// row is one refusal: a call, the situation that do makes and calls in, and the errcode it ends in.
type row struct {
	path, what string
	code       int
	do         func(*world) error
}

// documented is what the platform's pages name for each call, beside what documentedFor adds for whole kinds of calls.
func documented() map[string][]int {
	return map[string][]int{
		"gettoken":             {40001, 40013, 40091, 41002, 41004, 45009, 45033, -1},
		"token":                {40002, 40013, 40125, 40164, 41002, 41004, 45009, 89503, 89506, 89507, -1},
		"stable_token":         {40002, 40013, 40125, 40164, 41002, 41004, 45009, 89503, 89506, 89507, -1},
		"kf/sync_msg":          {95007, 95032, 40058},
		"kf/send_msg":          {40096, 40003, 41035, 40008, 40058, 40063, 44004, 45002, 40007, 45034, 90200, 90206, 90207, 90208, 95008, 95009, 95022, 95018, 95013, 95002, 95001, 95024, 95031, 95025, 95003, 95030, 40201},
		"kf/send_msg_on_event": {41049, 41050, 41051, 95007, 95018, 95016, 40008, 40058, 44004, 45002, 95004, 48007},
		"kf/recall_msg":        {95028, 95029, 40058},
		"kf/service_state/get": {40096, 40058},
		"kf/service_state/trans": {
			95013, 95014, 95016, 95018, 95019, 40096, 60111, 40003, 40058,
		},
		"kf/account/add":                         {95005, 95006, 95026, 95027, 40007},
		"kf/account/del":                         {95005},
		"kf/account/update":                      {95006, 40007, 40058},
		"kf/account/list":                        {40058},
		"kf/add_contact_way":                     {40058},
		"kf/servicer/add":                        {60111, 60011, 60021, 60003, 60123, 95014, 40058},
		"kf/servicer/del":                        {40058},
		"kf/servicer/list":                       {},
		"idconvert/open_kfid":                    {48002, 40058},
		"kf/customer/batchget":                   {40058},
		"kf/customer/get_upgrade_service_config": {95021},
		"kf/customer/upgrade_service":            {95015, 95021, 40096, 60111},
		"kf/customer/cancel_upgrade_service":     {95021, 40096},
		"kf/get_corp_statistic":                  {40058},
		"kf/get_servicer_statistic":              {40058},
		"kf/knowledge/add_group":                 {40058},
		"kf/knowledge/del_group":                 {40058},
		"kf/knowledge/mod_group":                 {40058},
		"kf/knowledge/list_group":                {40058},
		"kf/knowledge/add_intent":                {40058, 40007},
		"kf/knowledge/del_intent":                {40058},
		"kf/knowledge/mod_intent":                {40058, 40007},
		"kf/knowledge/list_intent":               {40058},
		"media/upload":                           {40004, 40005, 40006, 40009, 40011, 40058, 40123, 41006, 44001, 45001, 45007, 301017},
		"media/uploadimg":                        {40006, 40009, 45009},
		"media/upload_by_url":                    {830001, 40058},
		"media/get_upload_by_url_result":         {830003},
		"media/get":                              {40007, 830002, 45033},
		"media/get/jssdk":                        {40007},
	}
}

// documentedFor is what a call may be refused with for its kind.
func documentedFor(e kfapi.Endpoint) []int {
	codes := documented()[e.Path]
	if e.Style == kfapi.StyleCredential {
		return codes
	}
	codes = append(codes, 40001, 40014, 41001, 42001, 45009, 45033, 50003, 50006, 60020, -1)
	if strings.HasPrefix(e.Path, "kf/") {
		codes = append(codes, 48002, 95011, 95012, 95017, 95023)
	}
	if slices.Contains(namesAccount(), e.Path) {
		codes = append(codes, 48007, 95000, 95004)
	}
	return codes
}

// categories is the platform's table of codes by what a program does about them.
func categories() map[kfapi.Category][]int {
	return map[kfapi.Category][]int{
		kfapi.CategoryTransient: {-1},
		kfapi.CategoryFreq:      {45009, 45033},
		kfapi.CategoryAuth:      {40001, 40013, 40014, 40091, 40125, 41001, 42001},
		kfapi.CategoryPerm:      {40164, 48002, 48007, 50003, 50006, 60011, 60020, 60021, 90206, 95011, 95012, 95023, 95032},
		kfapi.CategoryParam: {40003, 40004, 40005, 40006, 40007, 40008, 40009, 40011, 40033, 40058, 40063, 40066, 40123, 40206, 41002, 41004, 41006, 41009, 41035, 41049,
			44001, 44004, 45001, 45002, 45007, 45034, 90200, 90207, 90208, 95006, 95022, 301017, 830001, 830002, 830003},
		kfapi.CategoryNotFound:    {40096, 60003, 60111, 60123, 95000, 95004, 95028},
		kfapi.CategoryLimit:       {95001, 95003, 95005, 95008, 95025, 95026, 95027},
		kfapi.CategoryState:       {41050, 41051, 95002, 95007, 95013, 95014, 95015, 95016, 95018, 95019, 95021, 95024, 95029, 95031},
		kfapi.CategoryContent:     {40201},
		kfapi.CategoryUnsupported: {95009, 95017, 95030},
	}
}

func everyRow() []row {
	return slices.Concat(commonRows(), accountRows(), credentialRows(), sendRows(), bodyRows(), sessionRows(), corpRows(), knowledgeRows(), mediaRows())
}

func TestEveryDocumentedError(t *testing.T) {
	rows := everyRow()
	caused := map[string][]int{}
	for _, r := range rows {
		caused[r.path] = append(caused[r.path], r.code)
	}
	for _, e := range kfapi.Endpoints() {
		for _, code := range documentedFor(e) {
			if !slices.Contains(caused[e.Path], code) {
				t.Errorf("%s: nothing here causes %d", e.Path, code)
			}
		}
	}
	for path := range documented() {
		if _, ok := kfapi.LookupEndpoint(path); !ok {
			t.Errorf("the client has no call %s", path)
		}
	}
	for _, r := range rows {
		t.Run(r.path+"/"+r.what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			err := r.do(w)
			w.refused(r.what, err, r.code)
			if err == nil {
				return
			}
			predicates(t, r, err)
			if strings.Contains(err.Error(), w.token) && w.token != "" {
				t.Error("the error shows the access token")
			}
		})
	}
}

// predicates checks what the client makes of a refusal.
func predicates(t *testing.T, r row, err error) {
	t.Helper()
	e, ok := kfapi.LookupEndpoint(r.path)
	same(t, "a known call", ok, true)
	refreshed := r.code == 40001 || r.code == 40014 || r.code == 42001
	same(t, "TokenRejected", kfapi.TokenRejected(err), refreshed && e.Style != kfapi.StyleCredential)
	same(t, "RateLimited", kfapi.RateLimited(err), r.code == 45009)
	same(t, "Busy", kfapi.Busy(err), r.code == -1 || r.code == 45033)
	same(t, "NotSent", kfapi.NotSent(err), false)
	same(t, "Ambiguous", kfapi.Ambiguous(err), false)
	for category, codes := range categories() {
		in := slices.Contains(codes, r.code)
		if in || e.Style != kfapi.StyleCredential { // codes of official accounts stand in another table
			same(t, "in "+string(category), kfapi.CategoryOf(r.code) == category, in)
		}
	}
	code, _ := kfapi.Code(err)
	same(t, "IsNotFound", kfapi.IsNotFound(code), slices.Contains(categories()[kfapi.CategoryNotFound], r.code))
	same(t, "IsAuth", kfapi.IsAuth(code), slices.Contains(categories()[kfapi.CategoryAuth], r.code))
	same(t, "IsTemporary", kfapi.IsTemporary(code), r.code == -1 || r.code == 45009 || r.code == 45033)
	if _, known := kfapi.Lookup(code); !known {
		t.Errorf("the catalogue has no %d", code)
	}
}

// byFault is a code that no rule of the simulator causes, with the reason.
func byFault(path string, code int, reason string) row {
	return row{path, "by fault: " + reason, code, func(w *world) error {
		got(w.AddFault(kfsim.Fault{Kind: kfsim.FaultErrCode, Path: path, ErrCode: code, Count: 1}))(w)
		return w.raw(path, "{}")
	}}
}

// rowError is the first row that failed, of a call that succeeds although rows fail.
func rowError(op string, r kfapi.ServicerAddResponse, err error) error {
	if err != nil {
		return err
	}
	failed := r.Failed()
	if len(failed) == 0 {
		return errors.New("no row failed")
	}
	return &kfapi.Error{Op: op, Code: failed[0].ErrCode, Msg: failed[0].ErrMsg}
}

// second drops the value of a call.
func second[T any](_ T, err error) error { return err }
