import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Testing

/// Files that ask for more than they hold.
@Suite("hostile tensors") struct HostileTensorTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    /// One number, seen as many.
    private func view(_ name: String, _ shape: [Int], strides: [Int]? = nil, numbers: Int = 1) -> StateDict.Tensor {
        var tensor = StateDict.Tensor(name, [Float](repeating: 1, count: numbers), shape: [numbers])
        tensor.shape = shape
        tensor.strides = strides ?? shape.map { _ in 0 }
        return tensor
    }

    private func maskRefusal(_ tensor: StateDict.Tensor) throws -> LeafError? {
        for name in ["pruned.pt", "pruned.json", "pruned.pt.cnofig.json"] {
            let target = folder.path(name)
            if FileManager.default.fileExists(atPath: target) { continue }
            let source = Golden.root.appending(path: "compressed/\(name)").path
            try FileManager.default.copyItem(atPath: source, toPath: target)
        }
        try StateDict(tensors: [tensor]).archive.bytes.write(to: folder.path("masks.pt"))
        return failure {
            _ = try Checkpoint(
                path: folder.path("pruned.pt"), masksPath: folder.path("masks.pt"), kernels: .best)
        }
    }

    @Test(arguments: [[1 << 40, 1 << 40], [1 << 16, 1 << 16], [1 << 62, 2], [2, 1 << 62], [5, 4], [1, 2]])
    func aMaskOfMoreElementsThanItsStorageIsRefused(shape: [Int]) throws {
        let error = try maskRefusal(view("num_heads", shape))
        #expect(error?.kind == .badInput)
        #expect(error?.description.contains("more elements than its storage") == true, "\(error!)")
    }

    /// A storage as large as the view, so that only the model's own number of heads can tell.
    @Test func aMaskOfAnotherModelIsRefusedBeforeItIsRead() throws {
        for (shape, reason) in [
            ([3, 4000], "the model had 4 heads"), ([12000, 1], "num_heads has 12000 entries"), ([3, 1], "had 4 heads"),
            ([3, 0], "had 4 heads"), ([0, 4], "num_heads has 0 entries"),
        ] {
            let error = try maskRefusal(view("num_heads", shape, numbers: 12000))
            #expect(error?.kind == .badInput)
            #expect(error?.description.contains(reason) == true, "\(error!)")
        }
    }

    @Test func viewsOfWeightsAreRefusedToo() throws {
        for shape in [[1 << 40, 1 << 40], [1 << 20, 1 << 10], [40, 16]] {
            try StateDict(tensors: [view("input_embedding.weight", shape)]).archive.bytes.write(to: folder.path("m.pt"))
            let error = failure {
                _ = try Checkpoint(
                    path: folder.path("m.pt"), configurationPath: Forms.fixture("config.json"), kernels: .best)
            }
            #expect(error?.description.contains("more elements than its storage") == true)
        }
    }

    /// Shape, strides and offset of every extreme: a view of the storage, or a sentence.
    @Test func noNumbersOfAViewTrap() throws {
        let path = folder.path("x")
        try [UInt8](repeating: 0, count: 64).write(to: path)
        let storage = TensorStorage(try InputFile(path: path))
        let extremes = [Int.min, -1, 0, 1, 2, 4, 16, 17, 1 << 31, 1 << 32, 1 << 62, Int.max]
        var accepted = 0
        for rows in extremes {
            for columns in extremes {
                for stride in extremes {
                    for offset in extremes {
                        let error = failure {
                            let tensor = try SourceTensor(
                                name: "t", type: .f32, shape: [rows, columns], strides: [stride, 1], storage: storage,
                                offset: offset)
                            accepted += 1
                            #expect(tensor.shape.reduce(4, *) <= 64)
                            #expect(tensor.range.lowerBound >= 0 && tensor.range.upperBound <= 64)
                            if rows > 0, columns > 0 { #expect(try RowReader(tensor).floats(.best).count <= 16) }
                        }
                        #expect(error == nil || error?.kind == .badInput)
                    }
                }
            }
        }
        #expect(accepted > 20)
        for (shape, strides) in [([2], [1, 1]), ([], []), ([1], [])] {
            let error = failure {
                _ = try SourceTensor(
                    name: "t", type: .i64, shape: shape, strides: strides, storage: storage, offset: 56)
            }
            #expect((error == nil) == (shape.isEmpty && strides.isEmpty))
        }
    }

    @Test func namesCannotSpeakToTheTerminal() throws {
        let name = "x\u{1B}]0;owned\u{7}\u{9B}31m\u{202E}gpj"
        try StateDict(tensors: [view(name, [4])]).archive.bytes.write(to: folder.path("m.pt"))
        let description = failure {
            _ = try Checkpoint(
                path: folder.path("m.pt"), configurationPath: Forms.fixture("config.json"), kernels: .best)
        }?.description
        #expect(description?.contains(#"x\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}gpj"#) == true)
    }
}
