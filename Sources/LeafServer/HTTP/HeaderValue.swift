/// What clients write behind the names of headers.
enum HeaderValue {
    static let usualUrgency = 3

    /// How soon a client wants its answer, 0 to 7, 7 for work in the background: `Priority: u=7` (RFC 9218).
    static func urgency(of priority: String?) -> Int {
        for part in (priority ?? "").split(separator: ",") {
            let pair = part.filter { $0 != " " }.split(separator: "=")
            if pair.count == 2, pair[0] == "u", let urgency = Int(pair[1]), (0...7).contains(urgency) { return urgency }
        }
        return usualUrgency
    }

    /// Whether `Content-Encoding` leaves a body as it is.
    static func isPlain(_ contentEncoding: String?) -> Bool {
        (contentEncoding ?? "").lowercased().split(separator: ",").allSatisfy {
            let coding = $0.filter { $0 != " " && $0 != "\t" }
            return coding.isEmpty || coding == "identity"
        }
    }

    /// Whether a value is a list of names of headers, and not a long one.
    static func areNames(_ list: String) -> Bool {
        list.utf8.count <= 1024
            && list.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ","),
                    UInt8(ascii: " "):
                    true
                default: false
                }
            }
    }

    /// Whether `Content-Type` says that a body is JSON.
    static func isJSON(_ contentType: String?) -> Bool {
        contentType?.lowercased().split(separator: ";").first?.filter { $0 != " " } == "application/json"
    }
}
