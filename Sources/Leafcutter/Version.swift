/// Leafcutter's version, by the rules of semantic versioning.
public let leafcutterVersion = "0.1.0"
