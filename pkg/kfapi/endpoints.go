package kfapi

import "net/http"

// endpoints is the platform's table of calls, in the order of its documents.
func endpoints() []Endpoint {
	return []Endpoint{
		asks[GetTokenRequest, GetTokenResponse]("gettoken", 91039, "access token of an app").get().again().style(StyleCredential),
		bare[IPListResponse]("getcallbackip", 90930, "addresses that callbacks come from"),
		bare[IPListResponse]("get_api_domain_ip", 92520, "addresses of the API"),
		asks[OfficialTokenRequest, GetTokenResponse]("token", 0, "access token of an official account; ends the one before").get().onOfficial(),
		asks[StableTokenRequest, GetTokenResponse]("stable_token", 0, "access token of an official account, shared by all who ask").onOfficial(),

		asks[SyncMsgRequest, SyncMsgResponse]("kf/sync_msg", 94670, "one page of messages and events").again(),
		asks[SendMsgRequest, SendMsgResponse]("kf/send_msg", 94677, "send a message to a customer"),
		asks[SendMsgOnEventRequest, SendMsgResponse]("kf/send_msg_on_event", 95122, "answer an event with its code"),
		asks[RecallMsgRequest, Reply]("kf/recall_msg", 94677, "take a message back within 2 minutes").again(),
		asks[ServiceStateGetRequest, ServiceStateGetResponse]("kf/service_state/get", 94669, "who holds a conversation").again(),
		asks[ServiceStateTransRequest, ServiceStateTransResponse]("kf/service_state/trans", 94669, "move a conversation to another state"),

		asks[AccountAddRequest, AccountAddResponse]("kf/account/add", 94662, "make an account"),
		asks[AccountDelRequest, Reply]("kf/account/del", 94663, "delete an account").again(),
		asks[AccountUpdateRequest, Reply]("kf/account/update", 94664, "change name or avatar of an account").again(),
		asks[AccountListRequest, AccountListResponse]("kf/account/list", 94661, "accounts of the corp, 100 a page").again(),
		asks[AddContactWayRequest, AddContactWayResponse]("kf/add_contact_way", 94665, "make a link to an account").again(),
		asks[ServicerAddRequest, ServicerAddResponse]("kf/servicer/add", 94646, "let members and departments answer for an account").again(),
		asks[ServicerDelRequest, ServicerDelResponse]("kf/servicer/del", 94647, "take members and departments off an account").again(),
		asks[ServicerListRequest, ServicerListResponse]("kf/servicer/list", 94645, "servicers of an account").get().again(),
		asks[IDConvertOpenKfIDRequest, IDConvertOpenKfIDResponse]("idconvert/open_kfid", 97064, "a provider's ids of a corp's accounts").again(),

		asks[CustomerBatchGetRequest, CustomerBatchGetResponse]("kf/customer/batchget", 95159, "names and pictures of up to 100 customers").again(),
		bare[CustomerGetUpgradeServiceConfigResponse]("kf/customer/get_upgrade_service_config", 94674, "members and groups that may be recommended"),
		asks[CustomerUpgradeServiceRequest, Reply]("kf/customer/upgrade_service", 94674, "recommend a member or a group to a customer"),
		asks[CustomerCancelUpgradeServiceRequest, Reply]("kf/customer/cancel_upgrade_service", 94674, "take a recommendation back").again(),
		bare[GetCorpQualificationResponse]("kf/get_corp_qualification", 94638, "whether a Channels account is bound"),
		asks[GetCorpStatisticRequest, GetCorpStatisticResponse]("kf/get_corp_statistic", 95489, "daily figures of an account").again(),
		asks[GetServicerStatisticRequest, GetServicerStatisticResponse]("kf/get_servicer_statistic", 95490, "daily figures of servicers").again(),

		asks[KnowledgeAddGroupRequest, KnowledgeAddGroupResponse]("kf/knowledge/add_group", 95971, "make a group of the knowledge base"),
		asks[KnowledgeDelGroupRequest, Reply]("kf/knowledge/del_group", 95971, "delete a group of the knowledge base").again(),
		asks[KnowledgeModGroupRequest, Reply]("kf/knowledge/mod_group", 95971, "rename a group of the knowledge base").again(),
		asks[KnowledgeListGroupRequest, KnowledgeListGroupResponse]("kf/knowledge/list_group", 95971, "groups of the knowledge base, up to 1000 a page").again(),
		asks[KnowledgeAddIntentRequest, KnowledgeAddIntentResponse]("kf/knowledge/add_intent", 95972, "add a question and its answer"),
		asks[KnowledgeDelIntentRequest, Reply]("kf/knowledge/del_intent", 95972, "delete a question").again(),
		asks[KnowledgeModIntentRequest, Reply]("kf/knowledge/mod_intent", 95972, "change a question or its answer").again(),
		asks[KnowledgeListIntentRequest, KnowledgeListIntentResponse]("kf/knowledge/list_intent", 95972, "questions and answers, up to 1000 a page").again(),

		asks[MediaUploadRequest, MediaUploadResponse]("media/upload", 90253, "upload a file for three days").again().style(StyleUpload),
		asks[MediaUploadImgRequest, MediaUploadImgResponse]("media/uploadimg", 90256, "upload a picture for ever").style(StyleUpload),
		asks[MediaUploadByURLRequest, MediaUploadByURLResponse]("media/upload_by_url", 96219, "let the platform fetch a file").again(),
		asks[MediaGetUploadByURLResultRequest, MediaGetUploadByURLResultResponse]("media/get_upload_by_url_result", 96219, "how far such a fetch came").again(),
		file("media/get", 90254, "download a file"),
		file("media/get/jssdk", 90255, "download a voice in high quality"),
	}
}

// asks is a call with a JSON body Q that is answered with A.
func asks[Q, A any, PQ interface {
	*Q
	Request
}](path string, page int, summary string) Endpoint {
	return Endpoint{
		Path: path, Method: http.MethodPost, Page: page, Summary: summary,
		Request: func() Request { return PQ(new(Q)) }, Reply: func() any { return new(A) },
	}
}

// bare is a call without parameters, which only reads.
func bare[A any](path string, page int, summary string) Endpoint {
	return Endpoint{
		Path: path, Method: http.MethodGet, Page: page, Summary: summary, Repeatable: true, Reply: func() any { return new(A) },
	}
}

// file is a call that is answered with a file.
func file(path string, page int, summary string) Endpoint {
	e := asks[MediaGetRequest, struct{}](path, page, summary).get().again().style(StyleDownload)
	e.Reply = nil
	return e
}

func (e Endpoint) get() Endpoint          { e.Method = http.MethodGet; return e }
func (e Endpoint) again() Endpoint        { e.Repeatable = true; return e }
func (e Endpoint) style(s Style) Endpoint { e.Style = s; return e }
func (e Endpoint) onOfficial() Endpoint   { e.Official = true; return e.style(StyleCredential) }
