// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"encoding/json"
	"net/http"
)

var _ = declare("infobip", infobipRequest, unsigned(infobipReceipts), Quirks{})

// infobipRequest describes version 3 of Infobip's SMS API: Secret is the API key. URL is
// required: each account has its own, like https://abc123.api.infobip.com.
//
// See https://www.infobip.com/docs/api/channels/sms/outbound-sms/send-sms-messages
// and https://www.infobip.com/docs/developer-resources/api-fundamentals/message-status-codes.
func infobipRequest(o PresetOptions) (HTTPConfig, error) {
	err := o.check(nil,
		requirement{"url", o.URL, nil, "the account's own, like https://abc123.api.infobip.com"},
		requirement{"secret", o.Secret, nil, "the API key"})
	if err == nil {
		err = o.noAccount()
	}
	if err != nil {
		return HTTPConfig{}, err
	}
	const status = "/messages/0/status/"
	return HTTPConfig{
		URL:           o.base("") + "/sms/3/messages",
		Headers:       map[string][]string{"Accept": {"application/json"}},
		Authorization: "App " + o.Secret,
		Body: Body{Type: BodyJSON, Template: `{"messages": [{
			"sender": "{from}",
			"destinations": [{"to": "{to}"}],
			"content": {"text": "{text}"},
			"webhooks": {"delivery": {"url": "{receipt_url}"}, "callbackData": "{id}"}
		}]}`},
		// The answer to a message that is refused has the status 200, too.
		Success:   Match{Pointer: status + "groupName", Values: []string{"PENDING", "ACCEPTED", "DELIVERED"}},
		MessageID: Source{Pointer: "/messages/0/messageId"},
		Refusals: []Refusal{
			refuse(status+"name", ReasonCredit, "REJECTED_NOT_ENOUGH_CREDITS", "REJECTED_SENDER", "REJECTED_DESTINATION_NOT_REGISTERED",
				"REJECTED_DEMO_ACCOUNT", "REJECTED_ROUTE_NOT_AVAILABLE"),
			refuse(status+"name", ReasonRate, "REJECTED_FLOODING_FILTER"),
			refuse(status+"name", ReasonGateway, "REJECTED_SYSTEM_ERROR"),
			refuse(status+"groupName", ReasonRejected, "REJECTED", "UNDELIVERABLE", "EXPIRED"),
		},
	}, nil
}

var infobipStates = states{
	"delivered": Arrived, "undeliverable": Undelivered, "expired": Undelivered, "rejected": Undelivered, "pending": Underway, "accepted": Underway,
}

type infobipReport struct {
	Results []struct {
		MessageID string `json:"messageId"`
		Reference string `json:"callbackData"`
		DoneAt    string `json:"doneAt"`
		Status    struct {
			Group string `json:"groupName"`
			Name  string `json:"name"`
		} `json:"status"`
		Error struct {
			Name string `json:"name"`
		} `json:"error"`
	} `json:"results"`
}

// infobipReceipts reads the delivery reports of Infobip, which are not signed.
//
// See https://www.infobip.com/docs/api/channels/sms/logs-and-status-reports/receive-outbound-sms-message-reports
// and https://www.infobip.com/docs/developer-resources/api-fundamentals/message-status-codes.
func infobipReceipts(r *http.Request, body []byte, _ string) (Receipt, error) {
	var report infobipReport
	// Each message has an address of its own, so that a report has one result.
	if json.Unmarshal(body, &report) != nil || len(report.Results) != 1 {
		return Receipt{}, ErrReceipt
	}
	one := report.Results[0]
	if one.Status.Group == "" {
		return Receipt{}, ErrReceipt
	}
	out := Receipt{
		State: infobipStates.of(one.Status.Group), GatewayID: clean(one.MessageID), MessageID: clean(one.Reference),
		At: moment(one.DoneAt, "2006-01-02T15:04:05.000-0700"),
	}
	if one.Status.Name == "DELIVERED_TO_OPERATOR" { // of the group DELIVERED, and not final
		out.State = Underway
	}
	if one.Error.Name != "NO_ERROR" {
		out.Code = shortWord(one.Error.Name)
	}
	return out, nil
}
