package zoo

// CheckConfig says whether Load could build the model that a config.json
// describes; a nil error promises nothing about weights.
func CheckConfig(config []byte) error {
	_, err := parse(config)
	return err
}

// CheckArchitecture says whether a GGUF's general.architecture is known.
func CheckArchitecture(name string) error {
	_, err := archNamed(name)
	return err
}
