import LeafSystem
import Leafcutter

extension LeafError {
    /// The sentence, and what to type.
    var advised: String {
        guard let words = advice?.words else { return description }
        return "\(description); \(words)"
    }
}

extension LeafError.Advice {
    /// Nil for a fact that no option takes.
    fileprivate var words: String? {
        switch self {
        case .memory(let bytes): "use --memory \(bytes.roundedUpText.filter { $0 != " " })"
        case .beams(let count): "use --beams \(count)"
        case .context, .opening: nil
        case .setting("skip_bad", _): "correct it, or give --skip-bad to answer it with an error"
        case .setting(let name, let values):
            "use \(Self.option(name))" + (values.isEmpty ? "" : " \(values.joined(separator: " or "))")
        case .without(let name): "leave out \(Self.option(name))"
        }
    }

    private static func option(_ name: String) -> String { "--" + name.replacing("_", with: "-") }
}
