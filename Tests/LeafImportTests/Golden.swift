import Foundation

/// Files that are committed beside the tests.
enum Golden {
    static let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    static let repository = tests.deletingLastPathComponent()

    static func model(_ name: String) -> String { tests.appending(path: "Golden/models/\(name)").path }

    /// Every form of every golden model: folder or file.
    static let forms = [
        "ant-tiny-a/hf", "ant-tiny-a/hf-bin", "ant-tiny-a/hf-head", "ant-tiny-a/hf-sharded",
        "ant-tiny-a/hf-sharded-head", "ant-tiny-a/cpm-live/ant-tiny-a.pt", "ant-tiny-b/hf", "ant-tiny-b/hf-bin",
        "ant-tiny-b/cpm-live/ant-tiny-b.pt", "ant-tiny-c/hf", "ant-tiny-c/hf-safetensors-sharded",
        "ant-tiny-c/cpm-live/ant-tiny-c.pt", "ant-tiny-pruned/cpm-live/ant-tiny-pruned.pt",
    ]
}

/// A folder of its own that goes away with its owner.
final class TemporaryFolder {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "leaf-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }
}
