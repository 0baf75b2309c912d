// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"encoding/json"
	"errors"
	"net/http"
)

// infobipReceipts reads the delivery reports of Infobip, which are not signed.
//
// See https://www.infobip.com/docs/api/channels/sms/logs-and-status-reports/receive-outbound-sms-message-reports
// and https://www.infobip.com/docs/developer-resources/api-fundamentals/message-status-codes.
type infobipReceipts struct{ o ReceiptOptions }

// InfobipReceipts makes a reader. There is no Secret: a name and password can be
// demanded.
func InfobipReceipts(o ReceiptOptions) (ReceiptReader, error) {
	if o.Secret != "" {
		return nil, errors.New("secret: infobip signs nothing; leave it out, or write basic_auth")
	}
	return &infobipReceipts{o.withDefaults()}, nil
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

// Read implements [ReceiptReader].
func (i *infobipReceipts) Read(r *http.Request, body []byte, _ string) (Receipt, error) {
	if err := i.o.basic(r); err != nil {
		return Receipt{}, err
	}
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
