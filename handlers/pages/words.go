// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Words are the words of all pages in one language.
type Words struct {
	// Lang and Dir are what the attributes of these names take.
	Lang, Dir string
	// Text returns the words for one of [Keys]. Those for "address" name the
	// address, and those for "request made", "request app" and "request network"
	// what they are about, and those for "busy what" how long to wait; none of these
	// four, nor "busy title", need be there.
	Text func(key, value string) (string, error)
	// Life puts a time into words; nil means into English ones.
	Life func(time.Duration) string
}

// Lasting is a time in words.
func (w Words) Lasting(d time.Duration) string {
	if w.Life != nil {
		return w.Life(d)
	}
	minutes := max(1, int(math.Ceil(d.Minutes())))
	if minutes == 1 {
		return "1 minute"
	}
	return strconv.Itoa(minutes) + " minutes"
}

// Dictionary has the words in several languages.
type Dictionary interface {
	// Words returns those of a brand that fit an Accept-Language header best. It
	// always returns some.
	Words(brand, acceptLanguage string) Words
}

// English has the words in English only. They name the server, which is
// host[:port] in ASCII.
func English(server string) Dictionary { return english{server} }

type english struct{ server string }

// Words implements [Dictionary].
func (e english) Words(string, string) Words {
	return Words{Lang: "en", Dir: "ltr", Text: func(key, value string) (string, error) {
		text, ok := englishWords[key]
		if !ok {
			text, ok = clientWords[key]
		}
		if !ok {
			return "", missingError(key)
		}
		return strings.NewReplacer("{server}", e.server, "{value}", value).Replace(text), nil
	}}
}

// missingError is a key without words.
type missingError string

// Error implements error.
func (e missingError) Error() string { return "no words for " + string(e) }

// Keys returns the names of all words that a page can need.
func Keys() []string {
	keys := make([]string, 0, len(englishWords))
	for key := range englishWords {
		keys = append(keys, key)
	}
	return keys
}

// phonePrefix begins the words that are said in place of others where the
// message went to a phone: it was no mail, and there is no folder for spam.
const phonePrefix = "sms "

// maxAccept bounds an Accept-Language header; browsers send far less.
const maxAccept = 256

// Preference is the Accept-Language header of a reader, followed by the
// language of the session: a reader knows best, and a message was understood.
func Preference(acceptLanguage, session string) string {
	if len(acceptLanguage) > maxAccept {
		acceptLanguage = ""
	}
	if !languageTag(session) {
		return acceptLanguage
	}
	if acceptLanguage == "" {
		return session
	}
	return acceptLanguage + ", " + session + ";q=0.001"
}

// languageTag reports whether s looks like a tag of RFC 5646, so that nothing
// else gets into a header.
func languageTag(s string) bool {
	if s == "" || len(s) > 35 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !letter && r != '-' && (r < '0' || r > '9')
	})
}

var englishWords = map[string]string{
	"confirm register title": "Create your account?",
	"confirm password title": "Reset your password?",
	"confirm add title":      "Add this address to your account?",
	"confirm register what":  "Confirming lets the app where this was requested create an account on {server}.",
	"confirm password what":  "Confirming lets the app where this was requested set a new password for your account on {server}.",
	"confirm add what":       "Confirming lets the app where this was requested add this address to an account on {server}.",
	"confirm button":         "Confirm",
	"address":                "Address: {value}",
	"confirm ignore":         "If you did not ask for this, close this page: nothing will happen.",

	"code label": "Code from the message",
	"code hint":  "Six digits. Spaces do not matter.",
	"code wrong": "That code is not right. Compare it with the newest message you got, and type it again.",
	"code again": "Please type the code from the message.",

	"again title": "Please press once more",
	"again what":  "This press could not be told from that of a program that checks mail, so nothing has happened yet. Read this, then press the button.",

	"next button": "Go on",

	"done title":    "Confirmed",
	"done what":     "You can go back to the app where you started; it goes on there.",
	"already title": "Already confirmed",
	"already what":  "There is nothing left to do here; go on in the app where you started.",
	"expired title": "This has expired",
	"expired what":  "This request is too old. Please start again in your app; you will get a new message.",
	"revoked title": "This has been ended",
	"revoked what":  "This request was ended, because it was refused or because of too many wrong codes. If you want to go on, please start again in your app.",
	"invalid title": "That did not work",
	"invalid what":  "This link or code is not right. Please use the newest message you got, and copy the whole link or code.",
	"error title":   "Something went wrong",
	"error what":    "The fault is on the server, not with you. Please try again in a few minutes.",

	"request made":    "Time: {value}",
	"request app":     "App: {value}",
	"request network": "Network: {value}",
	"request other":   "Another request like this one is open for your address. If you made only one, the other is somebody else’s: confirm none unless you know that it is yours.",

	"busy title":    "Please try again later",
	"busy what":     "This cannot be done at the moment. Nothing is lost: try again in {value}.",
	"refuse title":  "You did not ask for this?",
	"refuse what":   "Stopping ends this request on {server}: its link or code stops working, and for some time no more messages are sent to your address.",
	"refuse button": "Stop it",
	"refuse keep":   "If you did ask for it, close this page: nothing will happen.",
	"refused title": "Stopped",
	"refused what":  "This request has ended, and its link or code does not work any more. Nothing has changed on your account.",

	"help link":  "No message?",
	"help title": "Why did no message arrive?",
	"help spam":  "Look into the folder for spam or junk.",
	"help typo":  "Check the address in your app: one wrong letter, and somebody else has the message.",
	"help wait":  "Some providers hold back the first message from a new sender for some minutes.",
	"help again": "Ask for a new message in your app. Only the newest one is sure to work.",
	"help admin": "If none of this helps, tell whoever runs {server} at what time you asked.",

	"delivery waiting":   "The message is waiting to be sent.",
	"delivery delayed":   "Your mail provider did not take the message yet. We go on trying.",
	"delivery sent":      "Your mail provider has taken the message.",
	"delivery bounced":   "Your mail provider has refused the message. Please check the address.",
	"delivery address":   "Your mail provider says that there is no such address. Please check how it is spelled.",
	"delivery none":      "There is no message for this request. Please start again in your app.",
	"delivery failed":    "The message could not be sent. Please ask for a new one, or use another address.",
	"delivery suspended": "No messages are sent to this address at the moment, because earlier ones were refused.",

	"sms address":            "Phone number: {value}",
	"sms confirm add title":  "Add this phone number to your account?",
	"sms confirm add what":   "Confirming lets the app where this was requested add this phone number to an account on {server}.",
	"sms code again":         "Please type the code from the text message.",
	"sms again what":         "It is not certain that it was you who pressed the button, so nothing has happened yet. Read this, then press the button.",
	"sms invalid title":      "That did not work",
	"sms invalid what":       "Please start again in your app, and type the code from the newest text message you got.",
	"sms refuse what":        "Stopping ends this request on {server}: its code stops working, and for some time no more text messages are sent to your number.",
	"sms refused what":       "This request has ended, and its code does not work any more. Nothing has changed on your account.",
	"sms help link":          "No text message?",
	"sms help title":         "Why did no text message arrive?",
	"sms help signal":        "See that your phone is switched on and has a signal, and that it does not block messages from unknown senders.",
	"sms help typo":          "Check the number in your app, and the country as well: one wrong digit, and somebody else has the message.",
	"sms help wait":          "A text message can take some minutes, and longer while you are abroad.",
	"sms delivery waiting":   "The text message is waiting to be sent.",
	"sms delivery delayed":   "The phone network did not take the text message yet. We go on trying.",
	"sms delivery sent":      "The phone network has taken the text message.",
	"sms delivery arrived":   "The text message has reached your phone. It may be among those from unknown senders.",
	"sms delivery bounced":   "The phone network could not deliver the text message. Please see that the phone is switched on.",
	"sms delivery address":   "The phone network says that there is no such number. Please check it.",
	"sms delivery failed":    "The text message could not be sent. Please ask for a new one, or use another number.",
	"sms delivery suspended": "No text messages are sent to this number at the moment, because earlier ones were refused.",
	"sms delivery none":      "There is no text message for this request. Please start again in your app.",
}
