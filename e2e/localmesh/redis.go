package localmesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// redisServer is the Redis in which Tyk keeps sessions and counters.
type redisServer struct {
	host, port string
	database   int
}

func (m *Mesh) startRedis(ctx context.Context) error {
	if m.options.RedisAddr != "" && len(m.gateways) > 1 {
		return errors.New("several gateways need several databases, and REDIS_ADDR gives only one: leave it out")
	}
	if m.options.RedisAddr != "" {
		return m.borrowRedis(ctx)
	}
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(m.addressOf(redisHost, redisPort)); err != nil {
		return err
	}
	m.onClose(func() error { server.Close(); return nil })
	m.redis = redisServer{host: server.Host(), port: server.Port()}
	return nil
}

// claim is the key that marks a database of a real server as ours.
const claimKey = "meshpass:localmesh"

// borrowRedis uses an empty database of a real server, and leaves it empty again. It does not touch
// a database with any data.
func (m *Mesh) borrowRedis(ctx context.Context) error {
	host, port, err := net.SplitHostPort(m.options.RedisAddr)
	if err != nil {
		return fmt.Errorf("REDIS_ADDR must be host:port: %w", err)
	}
	for database := range 16 {
		client := redis.NewClient(&redis.Options{Addr: m.options.RedisAddr, DB: database})
		ours, err := claimDatabase(ctx, client)
		if ours {
			m.redis = redisServer{host: host, port: port, database: database}
			m.onClose(func() error {
				return errors.Join(client.FlushDB(context.Background()).Err(), client.Close())
			})
			return nil
		}
		if err := errors.Join(err, client.Close()); err != nil {
			return fmt.Errorf("redis at %s: %w", m.options.RedisAddr, err)
		}
	}
	return fmt.Errorf("redis at %s: all 16 databases hold data; give REDIS_ADDR of a server with an empty one", m.options.RedisAddr)
}

func claimDatabase(ctx context.Context, client *redis.Client) (bool, error) {
	fresh, err := client.SetNX(ctx, claimKey, strconv.Itoa(1), 0).Result()
	if err != nil || !fresh {
		return false, err
	}
	size, err := client.DBSize(ctx).Result()
	if err != nil || size == 1 {
		return err == nil, err
	}
	return false, client.Del(ctx, claimKey).Err()
}
