"""The allow-list against TensorFlow's own registry."""

import re

import pytest
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session

from graft.models.allowed_operations import ALLOWED, READS_CHECKPOINT, READS_TABLE, WRITES_CHECKPOINT

DANGEROUS = """
    Abort AnonymousIteratorV3 AssertNextDataset Barrier BatchFunction CSVDatasetV2 CollectiveReduceV2 CopyHost
    CreateSummaryFileWriter DataServiceDatasetV4 DatasetToTFRecord DebugIdentityV2 DebugNumericSummary DecodeProtoV2
    DistributedSave DumpTensor EagerPyFunc EncodeProto ExperimentalSleepDataset FIFOQueueV2 FileSystemSetConfiguration
    FixedLengthRecordDatasetV2 FixedUnigramCandidateSampler GenerateVocabRemapping GeneratorDataset GetSessionHandleV2
    ImmutableConst InitializeTableFromTextFileV2 LMDBDataset LMDBReader ListSnapshotChunksDataset LoadAndRemapMatrix
    LoadDataset MatchingFiles MatchingFilesDataset MergeV2Checkpoints MutexLock OneShotIterator Print PrintV2 PyFunc
    PyFuncStateless QueueDequeueV2 ReadFile ReaderReadV2 RecordInput RegisterDatasetV2 RemoteCall RestoreV2 RpcCall
    RpcClient RpcServer RpcServerStart SaveDatasetV2 SaveV2 SerializeTRTResource Skipgram SnapshotDatasetV2 SqlDataset
    Stage TFRecordDatasetV2 TPUExecute TRTEngineOp TextLineDataset TfLiteSubgraphExecute WholeFileReaderV2
    WriteAudioSummary WriteFile WriteGraphSummary WriteSummary XlaCallModule XlaCustomCallV2 XlaHostCompute XlaLaunch
    XlaRecvFromHost XlaSendToHost _HostRecv _HostSend _Recv _Send _XlaHostComputeMlir
"""
OF_SOME_BUILDS = ("SerializeTRTResource", "TRTEngineOp", "TfLiteSubgraphExecute")
"""TensorFlow 2.21 has them no more."""


@pytest.fixture(scope="module")
def registry() -> dict[str, op_def_pb2.OpDef]:
    known = op_def_pb2.OpList()
    known.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    return {operation.name: operation for operation in known.op}


@pytest.mark.parametrize("name", DANGEROUS.split())
def test_known_dangerous_operations_are_not_allowed(registry, name):
    assert name not in ALLOWED
    if name not in registry and name in OF_SOME_BUILDS:
        pytest.skip(f"this build of TensorFlow has no {name}")
    assert name in registry


def test_no_allowed_operation_is_given_a_file_an_address_or_a_program(registry):
    """By what TensorFlow calls attributes and inputs; those that sound alike are listed, and were looked at."""
    telling = re.compile(
        r"file|path|url|addr|host|dir|stream|protocol|python|service|region|program|module", re.IGNORECASE
    )
    harmless = {"direction", "host_reserved", "top_paths"}  # of recurrent networks, their memory, of a beam search
    found = {
        (name, given.name)
        for name in ALLOWED & registry.keys()
        for given in (*registry[name].attr, *registry[name].input_arg)
        if telling.search(given.name) and given.name not in harmless
    }
    assert found == {("ShardedFilename", "basename"), ("ShardedFilespec", "basename")} or not found


def test_what_is_not_registered_is_of_tensorflow_text(registry):
    unknown = ALLOWED - registry.keys()
    assert all(re.search(r"Text|Token|UTF8|Sentence|Split|Offsets|Constrained", name) for name in unknown)
    assert len(ALLOWED & registry.keys()) > 800


def test_what_touches_files_is_in_no_list_twice():
    special = WRITES_CHECKPOINT | READS_CHECKPOINT | READS_TABLE
    assert not special & ALLOWED
