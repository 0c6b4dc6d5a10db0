/// The version of Leafcutter, by semantic versioning.
public let leafcutterVersion = "0.2.0"
