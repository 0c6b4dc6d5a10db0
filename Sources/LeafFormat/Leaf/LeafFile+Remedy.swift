/// What to do with a model file that is damaged.
extension LeafFile {
    /// To follow a semicolon: how this file is come by again.
    package var remedy: String { LeafMetadata.remedy(metadata) }
}

extension LeafMetadata {
    /// The source of a file that was made without a checkpoint begins with it.
    package static let synthesized = "synthesized: "

    /// What makes a file with these metadata again; a file may be a damaged copy, too, whatever it was made by.
    static func remedy(_ metadata: [String: String]) -> String {
        if let model = metadata[Key.copiedModel]?.split(separator: " "), model.count == 2 {
            return "copy the file again, or requantize the \(model[1]) model with the digest \(model[0]) again"
        }
        if metadata[Key.source]?.hasPrefix(synthesized) == true { return "copy or synthesize it again" }
        return "copy the file or convert the checkpoint again"
    }

    /// The same where nobody knows what made it.
    static let unknownRemedy = "copy the file or make it again"
}
