import LeafFormat
package import LeafSystem
import LeafWire

/// The body of `POST /v1/batches`.
package struct BatchWish {
    let input: String
    let endpoint: String
    let window: String
    /// Seconds of the window.
    let seconds: Int
    private(set) var metadata: [(key: String, value: String)] = []
    private(set) var ignored = UnknownFields()

    static let bodyLimit = 16 << 10
    private static let endpoints = ["/v1/completions", "/v1/chat/completions", "/v1/embeddings"]
    private static let mostPairs = 16
    private static let longestMetadata = 4 << 10
    private static let mostHours = 365 * 24

    /// - Throws: `.usage` for what makes no sense.
    package init(_ body: ArraySlice<UInt8>) throws(LeafError) {
        guard body.count <= Self.bodyLimit else {
            throw LeafError(
                .usage, "the body has more than \(Self.bodyLimit) bytes; shorten 'metadata'", field: "metadata")
        }
        var (input, endpoint, window): (String?, String?, String?)
        var metadata: [(key: String, value: String)] = []
        var ignored = UnknownFields()
        try JSONReader.read(body) { name, reader throws(LeafError) in
            switch name {
            case "input_file_id": input = try reader.text()
            case "endpoint": endpoint = try reader.text()
            case "completion_window": window = try reader.text()
            case "metadata":
                metadata = []
                try reader.object { name, reader throws(LeafError) in metadata.append((name, try reader.text())) }
            default: try ignored.pass(name, &reader)
            }
        }
        guard let input else { throw LeafError.field("input_file_id", "is missing, the id of a file") }
        guard let endpoint, Self.endpoints.contains(endpoint) else {
            throw LeafError.field("endpoint", "is not \(Self.endpoints.joined(separator: ", "))")
        }
        guard let window, let hours = Self.hours(window), (1...Self.mostHours).contains(hours) else {
            throw LeafError.field("completion_window", "is no time such as 24h or 7d, of a year at most")
        }
        guard metadata.count <= Self.mostPairs,
            metadata.reduce(0, { $0 + $1.key.utf8.count + $1.value.utf8.count }) <= Self.longestMetadata
        else {
            throw LeafError.field(
                "metadata", "has more than \(Self.mostPairs) texts, or than \(Self.longestMetadata) bytes")
        }
        (self.input, self.endpoint, self.window, seconds) = (input, endpoint, window, hours * 3600)
        (self.metadata, self.ignored) = (metadata, ignored)
    }

    private static func hours(_ window: String) -> Int? {
        guard window.utf8.count <= 6, let number = Int(window.dropLast()), number > 0 else { return nil }
        switch window.last {
        case "h": return number
        case "d": return number * 24
        default: return nil
        }
    }
}
