package kfsim

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// Callback formats.
const (
	FormatXML  = "xml"
	FormatJSON = "json"
)

// Corp is a company with its app settings. Every secret stands for one app that may call the API.
type Corp struct {
	CorpID         string   `json:"corpid"`                    // ww and 16 hex digits; made when empty
	Secrets        []string `json:"secrets"`                   // one is made when there is none
	AgentID        string   `json:"agentid,omitempty"`         // of the app that receives callbacks
	CallbackURL    string   `json:"callback_url,omitempty"`    // empty: no callbacks are sent
	CallbackToken  string   `json:"callback_token"`            // letters and digits, 1–32; made when empty
	EncodingAESKey string   `json:"encoding_aes_key"`          // 43 letters and digits; made when empty
	CallbackFormat string   `json:"callback_format,omitempty"` // xml (default) or json
	Members        []string `json:"members,omitempty"`         // userids for business cards; servicers are members anyway
	MiniPrograms   []string `json:"mini_programs,omitempty"`   // linked appids; none means that every wx… appid counts as linked
	IPList         []string `json:"ip_list,omitempty"`         // answer of getcallbackip; 127.0.0.1 when empty

	Edition        string        `json:"edition,omitempty"`         // joint (default), standalone
	Apps           []App         `json:"apps,omitempty"`            // of the secrets, in their order; those left out may do everything
	Unverified     bool          `json:"unverified,omitempty"`      // few accounts (95027) and customers (95003)
	ChannelsBound  bool          `json:"channels_bound,omitempty"`  // a Channels account is bound: no limit of customers
	PastCustomers  int           `json:"past_customers,omitempty"`  // customers from before, who count for that limit
	NoUnionID      bool          `json:"no_unionid,omitempty"`      // no developer account is bound: batchget has no unionid
	APIOff         bool          `json:"api_off,omitempty"`         // kf calls are 95017
	ProviderAPI    bool          `json:"provider_api,omitempty"`    // the API is granted to a third-party app: 95023 for the others
	PoorUse        bool          `json:"poor_use,omitempty"`        // accounts are used too little for new ones: 95026
	Inactive       []string      `json:"inactive,omitempty"`        // members who have not activated WeCom: 95014
	Departments    []Department  `json:"departments,omitempty"`     // for servicers and the upgrade service
	Upgrade        *UpgradeRange `json:"upgrade,omitempty"`         // of the upgrade service; none is 95021
	ForbiddenWords []string      `json:"forbidden_words,omitempty"` // in a message: 40201
}

type corp struct {
	Corp
	codec     *kfcrypto.Codec
	accounts  []*account // in the order they were made, removed ones left out
	customers map[string]*customer
	members   map[string]bool
	media     map[string]*media
	log       itemLog // of all accounts, for OptionalOpenKfID
	current   map[int]*accessToken
	reached   int              // customers who ever wrote
	trusted   map[int][]string // trusted addresses before trustAt, by app
	trustAt   time.Time
	knowledge knowledge
	jobs      map[string]*uploadJob
}

// AddCorp makes a corp and returns it with what was left to make. Nothing is sent to CallbackURL:
// see VerifyURL.
func (s *Sim) AddCorp(c Corp) (Corp, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.st.ids
	if c.CorpID == "" {
		c.CorpID = fmt.Sprintf("ww%x", ids.next("corp", 8))
	}
	if !isWord(c.CorpID, 64) {
		return Corp{}, fmt.Errorf("corpid %q is not 1 to 64 letters, digits, _ and -", clip(c.CorpID, 64))
	}
	if _, there := s.st.corps[c.CorpID]; there {
		return Corp{}, fmt.Errorf("corp %s is there already; choose another corpid or reset", c.CorpID)
	}
	c.Secrets = slices.Clone(c.Secrets)
	if len(c.Secrets) == 0 {
		c.Secrets = []string{ids.opaque("", "secret", 43)}
	}
	or(&c.CallbackToken, ids.opaque("", "callback token", 32))
	or(&c.EncodingAESKey, ids.opaque("", "aes key", 43))
	if len(c.IPList) == 0 {
		c.IPList = []string{"127.0.0.1"}
	}
	n := &corp{customers: map[string]*customer{}, members: map[string]bool{}, media: map[string]*media{}, current: map[int]*accessToken{}, jobs: map[string]*uploadJob{}}
	n.log.scope = c.CorpID + "/*"
	if err := n.set(c); err != nil {
		return Corp{}, err
	}
	n.countMembers()
	n.knowledge.begin(ids)
	s.st.corps[c.CorpID] = n
	s.journal.add(Entry{Kind: KindCorp, CorpID: c.CorpID, Reason: "made"})
	return c, nil
}

// set checks the callback settings and takes the corp's data over.
func (n *corp) set(c Corp) error {
	or(&c.CallbackFormat, FormatXML)
	if c.CallbackFormat != FormatXML && c.CallbackFormat != FormatJSON {
		return fmt.Errorf("callback_format is %q; use xml or json", c.CallbackFormat)
	}
	if c.CallbackURL != "" {
		u, err := url.Parse(c.CallbackURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return errors.New("callback_url is not a URL like http://127.0.0.1:8080/callback")
		}
	}
	if slices.Contains(c.Secrets, "") {
		return errors.New("an empty secret cannot be used; leave secrets out to have one made")
	}
	if err := c.checkSettings(); err != nil {
		return err
	}
	codec, err := kfcrypto.New(c.CallbackToken, c.EncodingAESKey, c.CorpID)
	if err != nil {
		return fmt.Errorf("callback settings of corp %s: %w", c.CorpID, err)
	}
	n.Corp, n.codec = c, codec
	return nil
}

// CallbackSettings are what an administrator may change of a corp at any time; empty fields stay.
type CallbackSettings struct {
	CorpID         string `json:"corpid"` // may be empty while there is one corp
	CallbackURL    string `json:"callback_url"`
	CallbackToken  string `json:"callback_token"`
	EncodingAESKey string `json:"encoding_aes_key"`
	CallbackFormat string `json:"callback_format"`
}

// SetCallback changes callback settings. Callbacks that wait to go out use the new ones.
func (s *Sim) SetCallback(c CallbackSettings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.st.corp(c.CorpID)
	if err != nil {
		return err
	}
	next := n.Corp
	for _, f := range []struct {
		field *string
		value string
	}{
		{&next.CallbackURL, c.CallbackURL}, {&next.CallbackToken, c.CallbackToken},
		{&next.EncodingAESKey, c.EncodingAESKey}, {&next.CallbackFormat, c.CallbackFormat},
	} {
		if f.value != "" {
			*f.field = f.value
		}
	}
	if err := n.set(next); err != nil {
		return err
	}
	s.journal.add(Entry{Kind: KindCorp, CorpID: n.CorpID, Reason: "callback settings changed"})
	return nil
}

// corp finds a corp; an empty id means the only one.
func (st *state) corp(id string) (*corp, error) {
	if id == "" && len(st.corps) == 1 {
		for _, c := range st.corps {
			return c, nil
		}
	}
	if c := st.corps[id]; c != nil {
		return c, nil
	}
	if id == "" {
		return nil, fmt.Errorf("corpid is missing, and there are %d corps; name one, or make one first", len(st.corps))
	}
	return nil, fmt.Errorf("corp %q is unknown; make it first", clip(id, 64))
}

// ipList answers getcallbackip and get_api_domain_ip.
//
// https://developer.work.weixin.qq.com/document/path/92521
func (r *request) ipList() answer {
	return ok(struct {
		IPList []string `json:"ip_list"`
	}{r.corp.IPList})
}
