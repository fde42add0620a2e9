//! Packets on a stream, by the codec of the client that the agent and the hub have.

use anyhow::{Context as _, bail};
use bytes::BytesMut;
use rumqttc::v5::mqttbytes::{
    Error,
    v5::{Connect, Disconnect, DisconnectReasonCode, LastWill, Packet},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::server::TlsStream;

/// No packet is larger.
pub(super) const LARGEST_PACKET: u32 = 256 * 1024;
/// The first packet is no larger: nobody has been let in yet.
const LARGEST_HELLO: u32 = 32 * 1024;
/// A DISCONNECT that says nothing more, which the codec does not take.
const BARE_GOODBYE: [u8; 2] = [0xe0, 0];

/// A client's stream.
pub(super) struct Wire<S = TlsStream<tokio::net::TcpStream>> {
    stream: S,
    buffer: BytesMut,
    largest: u32,
    /// The largest packet that the client takes.
    takes: u32,
}

/// How a client begins.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) connect: Connect,
    pub(super) will: Option<LastWill>,
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Wire<S> {
    /// Reads what a client begins with.
    pub(super) async fn hello(stream: S) -> anyhow::Result<(Self, Hello)> {
        let mut wire = Self { stream, buffer: BytesMut::new(), largest: LARGEST_HELLO, takes: LARGEST_PACKET };
        let first = wire.read().await.context("it does not speak MQTT v5")?;
        let Some(Packet::Connect(connect, will, _)) = first else { bail!("it did not begin with CONNECT") };
        wire.largest = LARGEST_PACKET;
        let takes = connect.properties.as_ref().and_then(|p| p.max_packet_size);
        wire.takes = takes.unwrap_or(LARGEST_PACKET);
        Ok((wire, Hello { connect, will }))
    }

    /// The next packet; `None` at the end of the stream. Can be dropped while it waits.
    pub(super) async fn read(&mut self) -> anyhow::Result<Option<Packet>> {
        loop {
            if self.buffer.starts_with(&BARE_GOODBYE) {
                self.buffer.clear();
                return Ok(Some(Packet::Disconnect(Disconnect::new(DisconnectReasonCode::NormalDisconnection))));
            }
            let before = self.buffer.len();
            match Packet::read(&mut self.buffer, Some(self.largest)) {
                Ok(packet) => return Ok(Some(packet)),
                // Only while nothing was taken; later it means that a packet is shorter than what it holds.
                Err(Error::InsufficientBytes(_)) if self.buffer.len() == before => {}
                Err(e) => bail!("a packet cannot be read: {e}"),
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Writes packets, and all of them are on their way when this returns. One that the client does not take is left out.
    pub(super) async fn write(&mut self, packets: &[Packet]) -> anyhow::Result<()> {
        let mut bytes = BytesMut::new();
        for packet in packets {
            if u32::try_from(packet.size()).is_ok_and(|size| size <= self.takes) {
                packet.write(&mut bytes, None).context("a packet cannot be written")?;
            }
        }
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// Says that there is nothing more.
    pub(super) async fn close(mut self) {
        let _ = self.stream.shutdown().await;
    }
}
