public import CPMAntShape
public import LeafFormat
import LeafSystem

/// Model files of tests hold CPM-Ants.
extension LeafFile {
    public static func open(path: String) throws(LeafError) -> LeafFile {
        try CPMAntFile.open(path: path).leaf
    }

    public var configuration: ModelConfiguration {
        do {
            return try ModelConfiguration(json: metadata["configuration"] ?? "", source: path)
        } catch {
            preconditionFailure("\(error)")
        }
    }
}
