package zoo

// CheckConfig says whether Load could build the model that a config.json
// describes; a nil error promises nothing about weights.
func CheckConfig(config []byte) error {
	_, err := parse(config)
	return err
}

// CheckFamily says whether the family of a config.json is known, whatever else
// it says or leaves out.
func CheckFamily(config []byte) error {
	_, err := familyOf(config)
	return err
}
