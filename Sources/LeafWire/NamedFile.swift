import LeafSystem

/// `poems=best.pt`, or only a path.
package struct NamedFile: Sendable {
    package let name: String?
    package let path: String

    package init(name: String?, path: String) { (self.name, self.path) = (name, path) }

    package init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        // A path may hold the sign too, and what is there is meant.
        if parts.count == 2, !parts[0].contains("/"), !FilePath.exists(argument) {
            guard !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
            (name, path) = (String(parts[0]), String(parts[1]))
        } else {
            guard !argument.isEmpty else { return nil }
            (name, path) = (nil, argument)
        }
    }

    package var argument: String { (name.map { "\($0)=" } ?? "") + path }
}
