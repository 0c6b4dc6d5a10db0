import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Testing

@Suite("unpickler") struct UnpicklerTests {
    private func refusal(_ bytes: [UInt8]) -> String {
        failure { _ = try Unpickler.stateDict(bytes, path: "x.pt") }?.description ?? "accepted"
    }

    private func text(_ string: String) -> [UInt8] {
        [0x58] + withUnsafeBytes(of: UInt32(string.utf8.count).littleEndian) { Array($0) } + Array(string.utf8)
    }

    @Test func anEmptyDictionaryIsAStateDict() throws {
        #expect(try Unpickler.stateDict(Array("}.".utf8), path: "x.pt").isEmpty)
    }

    @Test(arguments: [
        ("cos\nsystem\n.", "`os.system`"), ("cposix\nsystem\n(X", "`posix.system`"),
        ("cbuiltins\n__import__\n.", "`builtins.__import__`"), ("ccollections\nOrderedDict\nextra", "never opened"),
        ("c\n\n.", "a whole ."), ("", "cut off"), (".", "runs empty"), ("(", "cut off"), ("t.", "never opened"),
        ("N.", "not a dictionary"), ("}NNs.", "not a string"), ("(((((", "cut off"), ("q", "cut off"),
        ("h\u{1}.", "never kept"), ("}b.", "runs empty"), ("NR.", "0x52"), ("Na.", "runs empty"),
        ("]NNs.", "0x75"), ("S'x'\n.", "0x53"), ("P1\n.", "0x50"), ("\u{7F}", "0x7f"), ("cabc", "without an end"),
    ])
    func whatIsNoStateDictIsRefused(pickle: String, reason: String) {
        let description = refusal(Array(pickle.unicodeScalars.map { UInt8($0.value) }))
        #expect(description.contains(reason), "\(description)")
    }

    @Test func namesAreRefusedHoweverTheyAreWritten() {
        let stacked = text("os") + text("system") + [0x93, 0x2E]
        #expect(refusal(stacked).contains("`os.system`"))
        #expect(refusal([0x80, 9, 0x2E]).contains("protocol 9"))
        #expect(refusal([0x8A, 200, 0x2E]).contains("200 bytes"))
        #expect(refusal([0x58, 0xFF, 0xFF, 0xFF, 0xFF, 0x2E]).contains("string of 4294967295 bytes"))
        #expect(refusal([0x8D] + [UInt8](repeating: 0xFF, count: 8)).contains("string of"))
        #expect(refusal([0x58, 1, 0, 0, 0, 0xFF, 0x2E]).contains("not UTF-8"))
    }

    /// A dictionary of one key, whose value these instructions make.
    private func dictionary(_ key: String, _ value: String) -> [UInt8] {
        var pickle = Array("}".utf8)
        pickle += text(key)
        pickle += bytes(value)
        return pickle + Array("s.".utf8)
    }

    private func bytes(_ instructions: String) -> [UInt8] { instructions.unicodeScalars.map { UInt8($0.value) } }

    /// `torch._utils._rebuild_tensor_v2` or `_v3` of two numbers; further arguments may follow.
    private func tensor(_ version: Int = 2, storage: String = "torch\nFloatStorage\n", more: String = "") -> String {
        "ctorch._utils\n_rebuild_tensor_v\(version)\n((X\u{7}\0\0\0storagec\(storage)X\u{1}\0\0\00"
            + "X\u{3}\0\0\0cpuK\u{8}tQK\0K\u{2}\u{85}K\u{1}\u{85}\u{89}}\(more)tR"
    }

    private func shapes(_ bytes: [UInt8]) throws -> [[Int]] {
        try Unpickler.stateDict(bytes, path: "x.pt").map(\.tensor.shape)
    }

    @Test func everyWayToRebuildATensorIsKnown() throws {
        #expect(try shapes(dictionary("w", tensor())) == [[2]])
        #expect(try shapes(dictionary("w", "ctorch._utils\n_rebuild_parameter\n(\(tensor())\u{88}}tR")) == [[2]])
        let withState = "ctorch._utils\n_rebuild_parameter_with_state\n(\(tensor())\u{88}}}tR"
        #expect(try shapes(dictionary("w", withState)) == [[2]])
        let call = tensor().replacing("ctorch._utils\n_rebuild_tensor_v2\n(", with: "").dropLast(2)
        let function = "ctorch._utils\n_rebuild_tensor_v2\n"
        let typed = "ctorch._tensor\n_rebuild_from_type_v2\n(\(function)ctorch\nTensor\n(\(call)t}tR"
        #expect(try shapes(dictionary("w", typed)) == [[2]])
        let bytes = tensor(3, storage: "torch.storage\nUntypedStorage\n", more: "ctorch\nbfloat16\n")
        #expect(try shapes(dictionary("w", bytes)) == [[2]])
    }

    @Test(arguments: ["float8_e4m3fn", "float8_e5m2", "uint16", "complex64"])
    func aTensorOfATypeThatIsNotReadIsNamed(type: String) {
        let bytes = tensor(3, storage: "torch.storage\nUntypedStorage\n", more: "ctorch\n\(type)\n")
        #expect(refusal(dictionary("w", bytes)).contains("tensor w holds torch.\(type), which is not read"))
    }

    @Test func aStorageOfATypeThatIsNotReadIsNamed() {
        let complex = tensor(storage: "torch\nComplexFloatStorage\n")
        #expect(refusal(dictionary("w", complex)).contains("tensor w holds torch.ComplexFloatStorage"))
    }

    private static let objects: [(instructions: String, name: String)] = [
        ("cargparse\nNamespace\n)\u{81}}X\u{2}\0\0\0lrK\u{1}sb", "argparse.Namespace"),
        (
            "cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(X\u{2}\0\0\0f8K\0tRC\u{1}xtR",
            "numpy._core.multiarray.scalar"
        ),
        ("cpathlib\nPosixPath\n(X\u{3}\0\0\0tmptR", "pathlib.PosixPath"),
        ("ctorch\ndevice\n(X\u{3}\0\0\0cputR", "torch.device"), ("ctorch\nSize\n((K\u{2}ttR", "torch.Size"),
        ("cmy.training\nConfig\n)R(X\u{1}\0\0\0aNu", "my.training.Config"),
        ("ccollections\ndefaultdict\n(cbuiltins\nlist\ntR", "collections.defaultdict"),
        ("cdatetime\ndatetime\n(C\u{2}\0\0tR", "datetime.datetime"), ("ca\nB\n)}\u{92}", "a.B"),
        ("\u{8F}(K\u{1}\u{90}", "set"), ("(K\u{1}\u{91}", "frozenset"), ("\u{8B}\u{2}\0\0\0\0\u{1}", "int"),
    ]

    /// What a training script saves beside the state dict.
    @Test(arguments: objects)
    func objectsDoNoHarmWhereNoTensorDependsOnThem(instructions: String, name: String) throws {
        let inner = "}X\u{1}\0\0\0w\(tensor())s"
        let beside = "}X\u{5}\0\0\0model\(inner)sX\u{4}\0\0\0args\(instructions)s."
        #expect(try shapes(bytes(beside)) == [[2]])
        #expect(refusal(dictionary("args", instructions)).contains("`args` is a \(name) and no tensor"))
        #expect(refusal(bytes(instructions + ".")).contains("a whole \(name);"))
    }

    @Test func ofSeveralStateDictsTheOneOfTheUsualNameIsTaken() throws {
        func pickle(_ names: [String]) -> [UInt8] {
            var pickle = bytes("}")
            for name in names { pickle += text(name) + bytes("}X\u{1}\0\0\0w\(tensor())ss") }
            return pickle + bytes(".")
        }
        #expect(try shapes(pickle(["whatever"])) == [[2]])
        #expect(try shapes(pickle(["ema", "state_dict"])) == [[2]])
        #expect(refusal(pickle(["ema", "other"])).contains("several state dicts (ema, other)"))
    }

    @Test(arguments: [
        "builtins\nexec", "builtins\ngetattr", "__builtin__\neval", "builtins\nopen", "nt\nsystem", "os\npopen",
        "os.path\njoin", "subprocess\nPopen", "sys\nexit", "socket\nsocket", "shutil\nrmtree", "ctypes\nCDLL",
        "importlib\nimport_module", "runpy\nrun_path", "webbrowser\nopen", "operator\nattrgetter", "pty\nspawn",
        "torch\nload", "builtins\ndict.fromkeys", "multiprocessing.util\nspawnv_passfds", "pickle\nloads",
    ])
    func modulesThatActAreRefusedWhereverTheyStand(name: String) {
        let description = refusal(dictionary("args", "c\(name)\n"))
        #expect(description.contains("`\(name.replacing("\n", with: "."))`"), "\(description)")
        #expect(description.contains("it may be hostile"))
    }

    @Test func namesAreLimited() {
        let many = (0..<300).flatMap { Array("ca\nb\($0)\n0".utf8) }
        #expect(refusal(many).contains("more than 256 classes"))
        let long = text(String(repeating: "a", count: 200))
        #expect(refusal(long + long + [0x93]).contains("a name of 400 bytes"))
    }

    @Test func depthAndSizeAreLimited() {
        func pile(_ instructions: String, _ count: Int) -> [UInt8] {
            let bytes = instructions.unicodeScalars.map { UInt8($0.value) }
            return (0..<count).flatMap { _ in bytes }
        }
        // Lists in each other; marks, values, empty containers, and what is kept of values that are dropped.
        #expect(refusal(pile("]", 1_000) + pile("a", 999) + Array(".".utf8)).contains("not a dictionary"))
        #expect(refusal(pile("]", 100_000) + pile("a", 99_999)).contains("too much at once"))
        for instructions in ["(", "N", ")0", "]0", "}0", "N]0", "NN\u{86}0"] {
            let program = pile(instructions, 1_000_000 / instructions.unicodeScalars.count)
            #expect(refusal(program).contains("too much at once"), "\(instructions)")
        }
        // A tuple of one over and over, around the one before.
        #expect(refusal(Array("N".utf8) + [UInt8](repeating: 0x85, count: 1_000_000)).contains("too much at once"))
        #expect(refusal(pile("]N\u{85}", 80_000)).contains("too much at once"))
        #expect(refusal(pile("N", 2_000_000)).contains("too much for a state dict"))
    }

    @Test(arguments: ["]", "N", ")", "("]) func whatWouldTakeMoreMemoryThanItsBytesAllowIsRefused(opcode: Character) {
        func pickle(_ count: Int) -> [UInt8] { Array((String(repeating: opcode, count: count) + "}.").utf8) }
        // torch writes at least two bytes for each value; a few may take less.
        #expect(refusal(pickle(500)) == "accepted")
        #expect(refusal(pickle(30_000)).contains("keeps too much at once"))
    }

    @Test func aListMayHoldItself() {
        #expect(refusal(Array("]q\u{0}h\u{0}a.".utf8)).contains("not a dictionary"))
    }

    @Test func randomProgramsNeverCrash() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let opcodes =
            Array("(0NKMJGXcqrhj)t]ae}suQRbCBUT.".utf8) + [
                0x80, 0x81, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8B, 0x8C, 0x8E, 0x8F, 0x90, 0x91, 0x92, 0x93, 0x94,
            ]
        let names = [
            "collections\nOrderedDict\n", "argparse\nNamespace\n", "torch._utils\n_rebuild_tensor_v2\n",
            "torch\nFloatStorage\n",
        ]
        for _ in 0..<20_000 {
            var program: [UInt8] = []
            for _ in 0..<Int.random(in: 1...40, using: &generator) {
                let opcode = opcodes.randomElement(using: &generator)!
                program.append(opcode)
                if opcode == UInt8(ascii: "c") { program += Array(names.randomElement(using: &generator)!.utf8) }
                if opcode == UInt8(ascii: "X") {
                    program.removeLast()
                    program += text("storage")
                }
                if Bool.random(using: &generator) { program.append(UInt8.random(in: 0...3, using: &generator)) }
            }
            let error = failure { _ = try Unpickler.stateDict(program + [0x2E], path: "x.pt") }
            #expect(error == nil || error?.kind == .badInput, "seed \(seed)")
        }
    }

    /// The pickles of torch, bent; whoever takes one apart meets each instruction with a wrong operand.
    @Test(arguments: ["plain", "parameters", "protocol-4", "bmcook"]) func mutatedPicklesNeverCrash(name: String) throws
    {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        // The first entry of the archive; torch puts its data at byte 64.
        let file = try Data(contentsOf: URL(filePath: Forms.fixture("\(name).pt")))
        let end = try #require(file.range(of: Data([0x50, 0x4B, 0x07, 0x08])))
        let original = Array(file[64..<end.lowerBound])
        #expect(try !Unpickler.stateDict(original, path: "x.pt").isEmpty)
        var refused = 0
        for round in 0..<5000 {
            var pickle = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let offset = Int.random(in: 0..<pickle.count, using: &generator)
                switch round % 3 {
                case 0: pickle[offset] = UInt8.random(in: 0...255, using: &generator)
                case 1: pickle[offset] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                default: pickle.removeSubrange(offset..<min(pickle.count, offset + 1 + round % 16))
                }
            }
            let error = failure { _ = try Unpickler.stateDict(pickle, path: "x.pt") }
            if error != nil { refused += 1 }
            #expect(error == nil || error?.kind == .badInput, "seed \(seed)")
        }
        #expect(refused > 1000, "seed \(seed)")
    }
}
