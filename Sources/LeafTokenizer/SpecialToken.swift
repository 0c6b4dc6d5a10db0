/// The tokens with a special meaning, by CPM-Ant's ids, which the whole runtime uses.
enum SpecialToken: Int32, CaseIterable {
    case pad = 0
    case unknown = 1
    case newline = 4
    case space = 5
    case begin = 6
    case end = 7

    /// The spelling in a vocabulary file.
    var name: String {
        switch self {
        case .pad: "<pad>"
        case .unknown: "<unk>"
        case .newline: "</n>"
        case .space: "</_>"
        case .begin: "<s>"
        case .end: "</s>"
        }
    }

    /// The text of the token: white space, or its own name.
    var text: String {
        switch self {
        case .newline: "\n"
        case .space: " "
        case .pad, .unknown, .begin, .end: name
        }
    }

    /// The special token with this spelling in a vocabulary file.
    init?(name line: Substring) {
        guard let token = Self.allCases.first(where: { $0.name.utf8.elementsEqual(line.utf8) }) else { return nil }
        self = token
    }
}
