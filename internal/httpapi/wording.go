package httpapi

import (
	"strings"

	"github.com/danielgtaylor/huma/v2/validation"
)

// missing ends the sentence for a field that is not there; its name stands before it.
const missing = " is missing"

// setWording has huma say what is wrong in words for the people who fill in forms:
// front ends show them as they are. It is called before the first schema is made.
func setWording() {
	// Of the kinds of one field only those of a quantity are several: see its schema.
	validation.MsgExpectedMatchExactlyOneSchema = "must be a number"
	validation.MsgUnexpectedProperty = "is no field of this request"
	validation.MsgExpectedRequiredProperty = "%s" + missing
	validation.MsgExpectedBoolean = "must be true or false"
	validation.MsgExpectedNumber = "must be a number"
	validation.MsgExpectedInteger = "must be a whole number"
	validation.MsgExpectedString = "must be a text"
	validation.MsgExpectedArray = "must be a list"
	validation.MsgExpectedObject = "must be an object"
	validation.MsgExpectedOneOf = "must be one of %s"
	validation.MsgExpectedMinimumNumber = "must be at least %.15g"
	validation.MsgExpectedMaximumNumber = "must be at most %.15g"
	validation.MsgExpectedMinLength = "must have %d characters or more"
	validation.MsgExpectedMaxLength = "must have %d characters or less"
	validation.MsgExpectedMaxItems = "must have %d entries or less"
	validation.MsgExpectedRFC5322Email = "must be an e-mail address%.0s"
	validation.MsgExpectedRFC4122UUID = "must be a UUID%.0s"
	validation.MsgExpectedRFC3986URI = "must be an address of the web%.0s"
}

// sentence is what is wrong with a field, beginning with its name. location is where
// huma found it.
func sentence(location, message string) string {
	for _, part := range []string{"body", ".", "query.", "header."} {
		location = strings.TrimPrefix(location, part)
	}
	if name, ok := strings.CutSuffix(message, missing); ok {
		if location != "" {
			name = location + "." + name
		}
		return name + missing
	}
	if location == "" {
		location = "body"
	}
	if strings.HasPrefix(message, "must ") || strings.HasPrefix(message, "is ") {
		return location + " " + message
	}
	return location + ": " + message // not our words
}
